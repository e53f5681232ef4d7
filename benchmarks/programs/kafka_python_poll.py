"""kafka-python's ``poll``, thrown away."""

import json
import sys
import time

from kafka import KafkaConsumer, TopicPartition

broker, topic, partitions, records = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
consumer = KafkaConsumer(bootstrap_servers=broker, enable_auto_commit=False, isolation_level="read_committed", max_poll_records=20_000)
consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
consumer.seek_to_beginning()
began, read = time.perf_counter(), 0
while read < records:
    read += sum(map(len, consumer.poll(1000).values()))
print(json.dumps({"seconds": time.perf_counter() - began, "records": read}))
consumer.close()
