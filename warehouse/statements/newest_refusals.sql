-- How many of the newest $records of each partition there were, and how many of them were refused.
SELECT s.topic, s.partition, least(any_value(s.accepted + s.duplicate + s.refused), $records) AS seen, least(count(r.offset_at), seen) AS refused
FROM source_offset s LEFT JOIN rejected r ON r.topic = s.topic AND r.partition = s.partition AND r.offset_at >= s.next_offset - $records
    -- Where a topic was made anew or its log cut back, it is read again below what was refused before.
    AND r.offset_at < s.next_offset
GROUP BY s.topic, s.partition;
