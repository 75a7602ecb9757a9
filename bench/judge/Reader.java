import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads topics as any read_committed consumer does, to their ends, and writes what it saw to standard output: for each
 * record a frame of fixed size (frames.ts), for each topic a closing frame with the number of records.
 * Arguments: brokers, topics.
 */
public class Reader {
  /** Without any progress for this long the reader gives up: an open transaction would hold it for ever. */
  static final long PATIENCE_MS = 90_000;
  static final Set<String> REPLAY_HEADERS = Set.of(
      "replay-id", "replay-source-topic", "replay-source-partition", "replay-source-offset", "replay-event-hash");

  final MessageDigest sha256 = MessageDigest.getInstance("SHA-256");
  final DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));

  Reader() throws Exception {}

  public static void main(String[] args) throws Exception {
    Reader reader = new Reader();
    for (int i = 1; i < args.length; i++) reader.read(args[0], args[i], i - 1);
    reader.out.flush();
  }

  void read(String brokers, String topic, int number) throws Exception {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    properties.put("isolation.level", "read_committed");
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "none");
    properties.put("max.poll.records", "10000");
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
          .map(info -> new TopicPartition(topic, info.partition())).collect(Collectors.toList());
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      // Of a read_committed consumer these are the last stable offsets: nothing undecided lies below.
      Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
      long written = 0;
      long progressAt = System.currentTimeMillis();
      while (!ends.isEmpty()) {
        boolean moved = false;
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          write(number, record);
          written++;
          moved = true;
        }
        // Positions move over markers and aborted records too, which no poll returns.
        moved |= ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
        if (moved) progressAt = System.currentTimeMillis();
        else if (System.currentTimeMillis() - progressAt > PATIENCE_MS)
          throw new IllegalStateException("no progress on " + topic + " for " + PATIENCE_MS + " ms");
      }
      close(number, written);
    }
  }

  void write(int number, ConsumerRecord<byte[], byte[]> record) throws IOException {
    out.writeInt(number);
    out.writeInt(record.partition());
    out.writeLong(record.offset());
    out.writeLong(record.timestamp());
    out.writeLong(digest(record.key()));
    out.writeLong(digestHeaders(record));
    out.writeLong(digest(record.value()));
    out.writeInt((int) number(record, "replay-source-partition"));
    out.writeInt(0);
    out.writeLong(number(record, "replay-source-offset"));
    out.writeLong(digestOf(record, "replay-id"));
    out.writeLong(digestOf(record, "replay-source-topic"));
    out.writeLong(digestOf(record, "replay-event-hash"));
  }

  /** The frame that says that a topic was read to its end. */
  void close(int number, long records) throws IOException {
    out.writeInt(-1 - number);
    out.writeInt(0);
    out.writeLong(records);
    for (int i = 0; i < 9; i++) out.writeLong(0);
  }

  long digest(byte[] bytes) {
    return bytes == null ? 0 : ByteBuffer.wrap(sha256.digest(bytes)).getLong();
  }

  long digestHeaders(ConsumerRecord<byte[], byte[]> record) {
    sha256.reset();
    for (Header header : record.headers()) {
      if (REPLAY_HEADERS.contains(header.key())) continue;
      byte[] name = header.key().getBytes(StandardCharsets.UTF_8);
      byte[] value = header.value();
      sha256.update(ByteBuffer.allocate(4).putInt(0, name.length));
      sha256.update(name);
      sha256.update(ByteBuffer.allocate(4).putInt(0, value == null ? -1 : value.length));
      if (value != null) sha256.update(value);
    }
    return ByteBuffer.wrap(sha256.digest()).getLong();
  }

  /** Of the last header of this name; 0 where there is none. */
  long digestOf(ConsumerRecord<byte[], byte[]> record, String name) {
    Header header = record.headers().lastHeader(name);
    return header == null ? 0 : digest(header.value());
  }

  /** A header that holds a decimal number; −1 where there is none. */
  static long number(ConsumerRecord<byte[], byte[]> record, String name) {
    Header header = record.headers().lastHeader(name);
    if (header == null || header.value() == null) return -1;
    try {
      return Long.parseLong(new String(header.value(), StandardCharsets.UTF_8));
    } catch (NumberFormatException malformed) {
      return -1;
    }
  }
}
