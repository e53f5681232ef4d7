// Kafka Streams: KRW per market and minute, in a window store in memory with its changelog. Arguments: broker, topic, partitions, records, turn, guarantee.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

public class KafkaStreamsSum {
    public static void main(String[] given) throws Exception {
        long records = Long.parseLong(given[3]);
        ObjectMapper json = new ObjectMapper();
        AtomicLong seen = new AtomicLong();
        AtomicLong began = new AtomicLong();
        CountDownLatch done = new CountDownLatch(1);

        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-" + given[5] + "-" + given[4] + "-" + System.nanoTime());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, given[0]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, given[5]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, Files.createTempDirectory("kafka-streams").toString());
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");

        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(given[1], Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .groupByKey()
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofDays(1)))
            .aggregate(
                () -> 0L,
                (market, payment, krw) -> {
                    if (seen.get() == 0) began.compareAndSet(0, System.nanoTime());
                    JsonNode read;
                    try {
                        read = json.readTree(payment);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                    if (seen.incrementAndGet() == records) done.countDown();
                    return read.get("status").asText().equals("approved") ? krw + read.get("amount").asLong() : krw;
                },
                Materialized.<String, Long>as(Stores.inMemoryWindowStore("krw", Duration.ofDays(2), Duration.ofMinutes(1), false))
                    .withKeySerde(Serdes.String())
                    .withValueSerde(Serdes.Long()));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        done.await();
        double seconds = (System.nanoTime() - began.get()) / 1e9;
        System.out.printf("{\"seconds\": %.3f, \"records\": %d}%n", seconds, seen.get());
        streams.close(Duration.ofSeconds(20));
    }
}
