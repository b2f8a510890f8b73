package osmv.codecs;

import java.util.HexFormat;
import java.util.List;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.kernels.Kernel;

/**
 * {@code residual1}, {@code residual2}, {@code residual4} with one codebook: the nearest centroid's id and 1, 2 or 4 bits a
 * dimension of the rest, x ~ factor * (centroid + weights[code]) (ColBERTv2, Santhanam et al. 2022, section 3.3; {@code
 * encoding/codecs/residual.py}).
 *
 * <p>Payload: id of the codebook (8 bytes), n factors (f32), n centroid ids (u16 where the codebook has at most 65,536
 * centroids, else u32), n rows of ceil(d * bits / 8) bytes, the first component in the lowest bits.
 */
final class Residual extends StoredCodec {
    static final List<Kind> KINDS = List.of(
        new Kind(6, "residual1", 1),
        new Kind(7, "residual2", 2),
        new Kind(8, "residual4", 4)
    );
    private static final int ID_BYTES = 8;

    private final int bits;
    private final Codebook codebook;
    /** The codebook's id as the first 8 bytes of a payload read as a number. */
    private final long codebookId;
    private final int idBytes;
    /** What each byte of codes stands for: the weights of byte b from b * 8 / bits on. */
    private final float[] components;

    /** What is known of a codec without a codebook. */
    record Kind(int id, String name, int bits) {}

    Residual(Kind kind, Codebook codebook, float[] weights) {
        super(kind.id, kind.name);
        bits = kind.bits;
        this.codebook = codebook;
        codebookId = LittleEndian.getLong(HexFormat.of().parseHex(codebook.id), 0);
        idBytes = codebook.size <= 1 << 16 ? 2 : 4;
        int codes = 8 / bits;
        components = new float[256 * codes];
        for (int i = 0; i < components.length; i++) {
            components[i] = weights[i / codes >> i % codes * bits & (1 << bits) - 1];
        }
    }

    /** The one with that id, or null. */
    static Kind kind(int id) {
        for (Kind kind : KINDS) {
            if (kind.id == id) {
                return kind;
            }
        }
        return null;
    }

    @Override
    public long payloadSize(int count, int dim) {
        return ID_BYTES + count * (4L + idBytes + width(dim));
    }

    /** Vectors get their centroids where they are indexed, and that is not here. */
    @Override
    public byte[] encode(float[] vectors, int count, int dim) {
        throw new UnsupportedOperationException(name);
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        for (int j = 0; j < n; j++) {
            int codes = ids(blob, blob.count) + (first + j) * width(blob.dim);
            int centroid = id(blob, first + j) * blob.dim;
            kernel.residual(blob.bytes, codes, components, 8 / bits, codebook.centroids, centroid, into, j * blob.dim, blob.dim);
        }
    }

    @Override
    public float scale(Blob blob, int vector) {
        return LittleEndian.getFloat(blob.bytes, blob.payload + ID_BYTES + 4 * vector);
    }

    @Override
    public void check(Blob blob) throws BlobException {
        // Of what codebook it is comes first: the length depends on that.
        if (blob.payloadLength >= ID_BYTES && LittleEndian.getLong(blob.bytes, blob.payload) != codebookId) {
            String written = HexFormat.of().formatHex(blob.bytes, blob.payload, blob.payload + ID_BYTES);
            throw new BlobException("token vectors were written with codebook " + written + ", the query names " + codebook.id);
        }
        super.check(blob);
        boolean fits = blob.dim == codebook.dim;
        for (int j = 0; j < blob.count; j++) {
            fits &= Integer.compareUnsigned(id(blob, j), codebook.size) < 0;
        }
        if (!fits) {
            throw new BlobException(
                "token vectors are inconsistent: they do not fit codebook " + codebook.id + ", which they name"
            );
        }
    }

    long bytes() {
        return 4L * components.length;
    }

    private int width(int dim) {
        return (int) (((long) dim * bits + 7) / 8);
    }

    /** Where the id of that vector's centroid lies; the codes begin where that of one more would. */
    private int ids(Blob blob, int vector) {
        return blob.payload + ID_BYTES + 4 * blob.count + idBytes * vector;
    }

    private int id(Blob blob, int vector) {
        int at = ids(blob, vector);
        return idBytes == 2 ? LittleEndian.getShort(blob.bytes, at) & 0xffff : LittleEndian.getInt(blob.bytes, at);
    }
}
