package osmv.query;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.lucene.index.LeafReaderContext;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.fieldvisitor.FieldsVisitor;

/** Names damaged documents in the log, one in ten seconds: a damaged disk must not fill the next one with warnings. */
final class DamageLog {
    private static final Logger LOGGER = LogManager.getLogger(DamageLog.class);
    private static final long INTERVAL = TimeUnit.SECONDS.toNanos(10);

    private final AtomicLong next = new AtomicLong(System.nanoTime());
    private final AtomicLong unnamed = new AtomicLong();

    void report(ShardId shard, LeafReaderContext leaf, String field, int doc, String reason) {
        long due = next.get();
        long now = System.nanoTime();
        if (now - due < 0 || !next.compareAndSet(due, now + INTERVAL)) {
            unnamed.incrementAndGet();
            return;
        }
        LOGGER.warn(
            "{}: document [{}] is left out of maxsim, its field [{}] is damaged ({}); {} more since the last warning: index them again",
            shard,
            id(leaf, doc),
            field,
            reason,
            unnamed.getAndSet(0)
        );
    }

    private static String id(LeafReaderContext leaf, int doc) {
        try {
            FieldsVisitor visitor = new FieldsVisitor(false);
            leaf.reader().storedFields().document(doc, visitor);
            if (visitor.id() != null) {
                return visitor.id();
            }
        } catch (IOException e) {
            LOGGER.debug("no _id", e);
        }
        // Nested documents store no _id.
        return "Lucene document " + (leaf.docBase + doc);
    }
}
