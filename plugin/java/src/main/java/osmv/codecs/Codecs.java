package osmv.codecs;

import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.kernels.Kernels;

/**
 * One file per codec, one table here of those that need nothing but the blob; the residual ones come with a {@link Codebook}.
 * Ids are stored in every document and are never used twice.
 */
public final class Codecs {
    public static final Bit BIT = new Bit();
    private static final List<StoredCodec> ALL = List.of(new F32(), new F16(), new Int8(), new Int4(), BIT);
    private static final Map<String, StoredCodec> BY_NAME = ALL.stream().collect(Collectors.toMap(c -> c.name, c -> c));
    private static final StoredCodec[] BY_ID = new StoredCodec[256];

    static {
        ALL.forEach(codec -> BY_ID[codec.id] = codec);
    }

    private Codecs() {}

    /** Names in the order of their ids. */
    public static List<String> names() {
        return ALL.stream().map(codec -> codec.name).toList();
    }

    /** The codec of that name; an IllegalArgumentException names those there are. */
    public static StoredCodec named(String name) {
        StoredCodec codec = BY_NAME.get(name);
        if (codec == null) {
            throw new IllegalArgumentException("unknown codec [" + name + "]: choose one of " + String.join(", ", names()));
        }
        return codec;
    }

    /** The codec of an opened blob, which is checked to be what the codec wants. */
    public static StoredCodec of(Blob blob) throws BlobException {
        StoredCodec codec = BY_ID[blob.codecId];
        if (codec == null) {
            throw new BlobException(
                "token vectors of codec id " + blob.codecId + ", which can't be read here (" + String.join(", ", names()) + " can)"
            );
        }
        codec.check(blob);
        return codec;
    }

    /** The same, where the blob may be of a codec with a codebook; that is null where the request names none. */
    public static StoredCodec of(Blob blob, Codebook codebook) throws BlobException {
        Residual.Kind kind = BY_ID[blob.codecId] == null ? Residual.kind(blob.codecId) : null;
        if (kind == null) {
            return of(blob);
        }
        if (codebook == null) {
            throw new CodebookMissing(kind.name());
        }
        StoredCodec codec = codebook.codec(kind);
        codec.check(blob);
        return codec;
    }

    /** Token vectors of one document to the blob that is stored. */
    public static byte[] seal(StoredCodec codec, float[] vectors, int count, int dim) {
        return Blob.seal(codec.id, count, dim, codec.encode(vectors, count, dim));
    }

    /** The token vectors of a blob, within the codec's error; one after the other. */
    public static float[][] decode(Blob blob) throws BlobException {
        StoredCodec codec = of(blob);
        float[][] vectors = new float[blob.count][blob.dim];
        for (int j = 0; j < blob.count; j++) {
            codec.unpack(Kernels.portable(), blob, j, 1, vectors[j]);
            codec.restore(vectors[j]);
            float scale = codec.scale(blob, j);
            float offset = codec.offset(blob, j);
            for (int k = 0; k < blob.dim; k++) {
                vectors[j][k] = scale * vectors[j][k] + offset;
            }
        }
        return vectors;
    }
}
