package osmv.maxsim;

import osmv.codecs.Codebook;
import osmv.codecs.Codecs;
import osmv.kernels.BitTable;
import osmv.kernels.FloatTable;
import osmv.kernels.Kernel;
import osmv.kernels.Kernels;

/**
 * A query made ready for scoring documents: MaxSim (Khattab and Zaharia 2020, ColBERT, section 3.3) over stored blobs.
 *
 * <p>Threads may share one; each takes a {@link DocumentScorer} of its own. The tables that a codec needs are made when the
 * first document of that codec comes.
 */
public final class MaxSim {
    final QueryVectors query;
    final Codebook codebook;
    final Kernel kernel;
    private volatile FloatTable floats;
    private volatile BitTable bits;

    public MaxSim(QueryVectors query) {
        this(query, null);
    }

    /** The codebook is that of the documents, null where they need none. */
    public MaxSim(QueryVectors query, Codebook codebook) {
        this(query, codebook, Kernels.current());
    }

    public MaxSim(QueryVectors query, Codebook codebook, Kernel kernel) {
        this.query = query;
        this.codebook = codebook;
        this.kernel = kernel;
    }

    public QueryVectors query() {
        return query;
    }

    public DocumentScorer scorer() {
        return new DocumentScorer(this);
    }

    FloatTable floats() {
        if (floats == null) {
            synchronized (this) {
                if (floats == null) {
                    floats = new FloatTable(query.vectors(), kernel.lanes());
                }
            }
        }
        return floats;
    }

    BitTable bits() {
        if (bits == null) {
            synchronized (this) {
                if (bits == null) {
                    float[][] rotated = new float[query.count()][];
                    for (int i = 0; i < rotated.length; i++) {
                        rotated[i] = Codecs.BIT.query(query.vectors()[i]);
                    }
                    bits = new BitTable(rotated, kernel.lanes());
                }
            }
        }
        return bits;
    }

    /** An upper bound of the heap, in bytes, that the tables of a query and one scorer take, documents' bytes aside. */
    public static long bytes(int count, int dim) {
        long padded = (long) count + 64;
        return 4 * padded * dim * 4 + padded * 32 + 4L * Kernel.TILE * dim;
    }
}
