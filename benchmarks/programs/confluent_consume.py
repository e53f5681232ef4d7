"""confluent-kafka's ``consume``, thrown away."""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition

broker, topic, partitions, records = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
consumer = Consumer({"bootstrap.servers": broker, "group.id": "confluent-consume", "enable.auto.commit": False, "isolation.level": "read_committed"})
consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
began, read = time.perf_counter(), 0
while read < records:
    read += len(consumer.consume(20_000, timeout=1))
print(json.dumps({"seconds": time.perf_counter() - began, "records": read}))
consumer.close()
