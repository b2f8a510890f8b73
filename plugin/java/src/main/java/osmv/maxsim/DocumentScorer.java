package osmv.maxsim;

import java.util.Arrays;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;
import osmv.codecs.StoredCodec;
import osmv.kernels.BitTable;
import osmv.kernels.FloatTable;
import osmv.kernels.Kernel;

/** Scores documents one after the other; its arrays are used again, nothing is allocated per document. For one thread. */
public final class DocumentScorer {
    private final MaxSim maxsim;
    private final Blob blob = new Blob();
    private final float[] tile;
    private final float[] scales = new float[Kernel.TILE];
    private final float[] offsets = new float[Kernel.TILE];
    private final float[] best;
    private float[] factors = new float[0];
    private int[] words = new int[0];
    private int[] sums = new int[0];

    DocumentScorer(MaxSim maxsim) {
        this.maxsim = maxsim;
        tile = new float[Kernel.TILE * maxsim.query.dim()];
        int lanes = maxsim.kernel.lanes();
        best = new float[(maxsim.query.count() + lanes - 1) / lanes * lanes];
    }

    /**
     * The raw score of the document whose blob this is; a {@link BlobException} where it is damaged, a {@link
     * DimensionMismatch} where it is of another dimension than the query, a {@link osmv.codecs.CodebookMissing} where its codec
     * needs the codebook and there is none.
     */
    public double score(byte[] bytes, int offset, int length) throws BlobException {
        StoredCodec codec = open(bytes, offset, length);
        QueryVectors query = maxsim.query;
        if (blob.count == 0) {
            return query.scoring().empty();
        }
        if (codec == Codecs.BIT) {
            scoreBits();
        } else {
            scoreFloats(codec);
        }
        double raw = query.scoring().combine(best, query.weights());
        if (!Double.isFinite(raw)) {
            throw new BlobException("token vectors are not finite, or so large that their products are not");
        }
        return raw;
    }

    /** For each query token the document token that it matches best, in the arithmetic of {@link #score}. */
    public Alignment align(byte[] bytes, int offset, int length) throws BlobException {
        StoredCodec codec = open(bytes, offset, length);
        float[][] rows = codec == Codecs.BIT ? maxsim.bits().rows() : maxsim.query.vectors();
        Alignment alignment = new Alignment(new int[rows.length], new float[rows.length], codec.name, blob.count);
        Arrays.fill(alignment.tokens(), -1);
        Arrays.fill(alignment.similarities(), Float.NEGATIVE_INFINITY);
        for (int j = 0; j < blob.count; j++) {
            codec.unpack(maxsim.kernel, blob, j, 1, tile);
            for (int i = 0; i < rows.length; i++) {
                double product = 0;
                double sum = 0;
                for (int k = 0; k < blob.dim; k++) {
                    product += (double) rows[i][k] * tile[k];
                    sum += rows[i][k];
                }
                float similarity = (float) (codec.scale(blob, j) * product + codec.offset(blob, j) * sum);
                if (similarity > alignment.similarities()[i]) {
                    alignment.similarities()[i] = similarity;
                    alignment.tokens()[i] = j;
                }
            }
        }
        return alignment;
    }

    private StoredCodec open(byte[] bytes, int offset, int length) throws BlobException {
        blob.open(bytes, offset, length);
        if (blob.dim != maxsim.query.dim()) {
            throw new DimensionMismatch(maxsim.query.dim(), blob.dim);
        }
        return Codecs.of(blob, maxsim.codebook);
    }

    private void scoreFloats(StoredCodec codec) {
        FloatTable table = maxsim.floats();
        table.clear(best);
        for (int first = 0; first < blob.count; first += Kernel.TILE) {
            int n = Math.min(Kernel.TILE, blob.count - first);
            codec.unpack(maxsim.kernel, blob, first, n, tile);
            for (int j = 0; j < n; j++) {
                scales[j] = codec.scale(blob, first + j);
                offsets[j] = codec.offset(blob, first + j);
            }
            // A last tile that is not full has its first token again: the maximum is the same.
            for (int j = n; j < Kernel.TILE; j++) {
                System.arraycopy(tile, 0, tile, j * blob.dim, blob.dim);
                scales[j] = scales[0];
                offsets[j] = offsets[0];
            }
            maxsim.kernel.products(table, tile, scales, offsets, best);
        }
    }

    private void scoreBits() {
        BitTable table = maxsim.bits();
        table.clear(best);
        int width = table.words();
        if (factors.length < blob.count) {
            factors = new float[blob.count];
            words = new int[blob.count * width];
            sums = new int[blob.count * maxsim.kernel.lanes()];
        }
        Codecs.BIT.words(maxsim.kernel, blob, width, words);
        Codecs.BIT.factors(maxsim.kernel, blob, factors);
        maxsim.kernel.signs(table, words, factors, blob.count, sums, best);
    }
}
