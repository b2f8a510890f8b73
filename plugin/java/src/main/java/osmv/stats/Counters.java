package osmv.stats;

import java.util.concurrent.atomic.LongAdder;

/** What the searches of this node did since it started. A search adds its tallies when it ends, not document by document. */
public final class Counters {
    /** Searches of one shard each that scored with maxsim. */
    final LongAdder requests = new LongAdder();

    final LongAdder documents = new LongAdder();
    final LongAdder nanoseconds = new LongAdder();
    final LongAdder bytes = new LongAdder();
    final LongAdder damaged = new LongAdder();

    /** What one thread of one search did; plain numbers, added to the node's when the search is over. */
    public static final class Tally {
        public long documents;
        public long nanoseconds;
        public long bytes;
        public long damaged;
    }

    public void add(Iterable<Tally> search) {
        requests.increment();
        for (Tally tally : search) {
            documents.add(tally.documents);
            nanoseconds.add(tally.nanoseconds);
            bytes.add(tally.bytes);
            damaged.add(tally.damaged);
        }
    }
}
