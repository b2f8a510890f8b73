package osmv.query;

import java.io.IOException;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.util.BytesRef;
import osmv.blob.BlobException;
import osmv.kernels.Kernel;
import osmv.maxsim.Alignment;
import osmv.maxsim.DocumentScorer;
import osmv.maxsim.MaxSim;
import osmv.stats.Counters.Tally;

/**
 * Scores the documents of one segment from their doc values; for one thread.
 *
 * <p>A value is a vint count, then for each of the document's values a vint length and the bytes. The first is scored.
 */
final class LeafScoring {
    private final RunningSearch search;
    private final LeafReaderContext leaf;
    private final String field;
    private final BinaryDocValues values;
    private final DocumentScorer scorer;
    private final MaxSim maxsim;
    private final Tally tally;
    /** Bytes that the scorer's arrays take, at most. */
    private final long arrays;

    private boolean accounted;
    private byte[] bytes;
    private int position;
    private int limit;
    private int length;

    LeafScoring(RunningSearch search, LeafReaderContext leaf, String field, BinaryDocValues values, MaxSim maxsim) {
        arrays = 4L * Kernel.TILE * maxsim.query().dim() + 4L * maxsim.query().count() + 2048;
        search.room(maxsim, field, arrays);
        this.search = search;
        this.leaf = leaf;
        this.field = field;
        this.values = values;
        this.maxsim = maxsim;
        scorer = maxsim.scorer();
        tally = search.tally();
    }

    BinaryDocValues values() {
        return values;
    }

    /** To the tally; the clock is the caller's, who knows how many documents it pays to measure at once. */
    void took(long nanoseconds) {
        tally.nanoseconds += nanoseconds;
    }

    /** The raw score of the document that the doc values stand at; NaN where it is damaged, which is counted and logged. */
    double score() throws IOException {
        try {
            locate();
            double raw = scorer.score(bytes, position, length);
            tally.documents++;
            tally.bytes += length;
            return raw;
        } catch (BlobException e) {
            tally.damaged++;
            search.damaged(leaf, field, values.docID(), e.getMessage());
            return Double.NaN;
        }
    }

    /** Of a document that {@link #score} could read. */
    Alignment align() throws IOException {
        try {
            locate();
            return scorer.align(bytes, position, length);
        } catch (BlobException e) {
            throw new IOException(e);
        }
    }

    private void locate() throws IOException, BlobException {
        BytesRef value = values.binaryValue();
        bytes = value.bytes;
        if (!accounted) {
            // The buffer has the length of the segment's longest value and serves for all; the scorer's factors are no longer.
            search.room(maxsim, field, arrays + 2L * bytes.length);
            accounted = true;
        }
        position = value.offset;
        limit = value.offset + value.length;
        int count = vint();
        length = count > 0 ? vint() : -1;
        if (length < 0 || length > limit - position) {
            throw new BlobException("doc values that are cut or altered");
        }
    }

    /** -1 where there is none. */
    private int vint() {
        int number = 0;
        for (int shift = 0; shift < 32 && position < limit; shift += 7) {
            byte next = bytes[position++];
            number |= (next & 0x7f) << shift;
            if (next >= 0) {
                return number;
            }
        }
        return -1;
    }
}
