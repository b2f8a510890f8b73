package osmv.codecs;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Centroids of token vectors, and what the residual codecs' codes stand for; as {@code encoding/codebook.py} stores it. The id
 * is a hash of all that is stored: equal ids, equal codebooks. Immutable: nobody may write to the arrays.
 */
public final class Codebook {
    private static final int ID_BYTES = 8;

    public final String id;
    /** Number of centroids. */
    public final int size;
    public final int dim;
    /** (size, dim), one centroid after the other. */
    final float[] centroids;
    private final Residual[] codecs;

    private Codebook(Map<String, Npz.Array> arrays) throws IOException {
        id = id(arrays);
        Npz.Array stored = arrays.get("centroids");
        if (stored == null || stored.shape().length != 2 || stored.shape()[0] == 0 || stored.shape()[1] == 0) {
            throw new IOException("these arrays are no codebook: [centroids] has to be there with 2 dimensions");
        }
        size = stored.shape()[0];
        dim = stored.shape()[1];
        centroids = stored.floats();
        codecs = new Residual[Residual.KINDS.size()];
        for (int i = 0; i < codecs.length; i++) {
            String name = "weights_" + Residual.KINDS.get(i).bits();
            Npz.Array weights = arrays.get(name);
            if (weights == null || !Arrays.equals(weights.shape(), new int[] { 1 << Residual.KINDS.get(i).bits() })) {
                throw new IOException("these arrays are no codebook: [" + name + "] has to be there, a number for each code");
            }
            codecs[i] = new Residual(Residual.KINDS.get(i), this, weights.floats());
        }
    }

    /** From the file that {@code numpy.savez} made of its arrays; an IOException says what is wrong with it. */
    public static Codebook read(byte[] npz) throws IOException {
        return new Codebook(Npz.read(npz));
    }

    /** The first digits of the hash of {@code encoding/content.py}: each array's name, type, shape and bytes, by name. */
    private static String id(Map<String, Npz.Array> arrays) {
        try {
            MessageDigest digest = MessageDigest.getInstance("SHA-256");
            digest.update("codebook".getBytes(StandardCharsets.US_ASCII));
            arrays.forEach((name, array) -> {
                String shape = Arrays.stream(array.shape()).mapToObj(Integer::toString).collect(Collectors.joining(", "));
                String head = "[\"" + name + "\", \"" + array.type() + "\", [" + shape + "]]";
                digest.update(head.getBytes(StandardCharsets.US_ASCII));
                digest.update(array.data());
            });
            return HexFormat.of().formatHex(digest.digest(), 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    StoredCodec codec(Residual.Kind kind) {
        return codecs[Residual.KINDS.indexOf(kind)];
    }

    /** Heap that it takes. */
    public long bytes() {
        return 4L * centroids.length + Arrays.stream(codecs).mapToLong(Residual::bytes).sum() + 512;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Codebook codebook && id.equals(codebook.id);
    }

    @Override
    public int hashCode() {
        return id.hashCode();
    }

    @Override
    public String toString() {
        return "Codebook[" + id + ", " + size + " x " + dim + "]";
    }
}
