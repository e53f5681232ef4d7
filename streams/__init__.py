"""In: Kafka to the warehouse."""
