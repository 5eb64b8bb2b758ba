// SPDX-License-Identifier: Apache-2.0
package bench;

import io.debezium.engine.ChangeEvent;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.format.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Debezium embedded over an existing slot and publication, into nothing: counts changes until
 * `changes` of them were seen, then prints one JSON line. Arguments: host port database user
 * password slot publication changes.
 */
public final class DebeziumPeer {
  public static void main(String[] a) throws Exception {
    long wanted = Long.parseLong(a[7]);
    Path offsets = Files.createTempFile("debezium", ".offsets");
    Files.delete(offsets);
    Properties p = new Properties();
    p.setProperty("name", "bench");
    p.setProperty("connector.class", "io.debezium.connector.postgresql.PostgresConnector");
    p.setProperty("offset.storage", "org.apache.kafka.connect.storage.FileOffsetBackingStore");
    p.setProperty("offset.storage.file.filename", offsets.toString());
    p.setProperty("offset.flush.interval.ms", "60000");
    p.setProperty("database.hostname", a[0]);
    p.setProperty("database.port", a[1]);
    p.setProperty("database.dbname", a[2]);
    p.setProperty("database.user", a[3]);
    p.setProperty("database.password", a[4]);
    p.setProperty("topic.prefix", "bench");
    p.setProperty("plugin.name", "pgoutput");
    p.setProperty("slot.name", a[5]);
    p.setProperty("publication.name", a[6]);
    p.setProperty("publication.autocreate.mode", "disabled");
    p.setProperty("snapshot.mode", "no_data");
    p.setProperty("max.batch.size", "8192");
    p.setProperty("max.queue.size", "32768");
    p.setProperty("poll.interval.ms", "10");

    AtomicLong seen = new AtomicLong();
    AtomicLong first = new AtomicLong();
    CountDownLatch done = new CountDownLatch(1);
    DebeziumEngine<ChangeEvent<String, String>> engine =
        DebeziumEngine.create(Json.class)
            .using(p)
            .notifying(
                event -> {
                  first.compareAndSet(0, System.nanoTime());
                  if (seen.incrementAndGet() >= wanted) done.countDown();
                })
            .build();
    ExecutorService executor = Executors.newSingleThreadExecutor();
    long begun = System.nanoTime();
    executor.execute(engine);
    done.await();
    double seconds = (System.nanoTime() - first.get()) / 1e9;
    double whole = (System.nanoTime() - begun) / 1e9;
    System.out.printf(
        "{\"changes\":%d,\"seconds\":%.3f,\"seconds_with_start\":%.3f}%n",
        seen.get(), seconds, whole);
    System.out.flush();
    Runtime.getRuntime().halt(0); // the figures are taken; an orderly close is not measured
  }
}
