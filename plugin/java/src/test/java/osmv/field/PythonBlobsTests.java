package osmv.field;

import java.io.InputStream;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.test.OpenSearchTestCase;
import osmv.blob.Blob;
import osmv.codecs.Codecs;
import osmv.codecs.StoredCodec;
import osmv.kernels.Kernels;

/** Java writes the blobs that Python writes: blobs.json is made by make_blobs.py beside it. */
public final class PythonBlobsTests extends OpenSearchTestCase {
    public void testTheSameBytes() throws Exception {
        int compared = 0;
        for (Map<String, Object> one : cases()) {
            float[] vectors = vectors(one);
            int dimension = (int) one.get("dimension");
            for (Map.Entry<?, ?> blob : ((Map<?, ?>) one.get("blobs")).entrySet()) {
                String label = one.get("name") + " in " + blob.getKey();
                StoredCodec codec = Codecs.named((String) blob.getKey());
                int count = vectors.length / dimension;
                if (blob.getValue() == null) {
                    IllegalArgumentException refusal = expectThrows(
                        IllegalArgumentException.class,
                        () -> Codecs.seal(codec, vectors, count, dimension)
                    );
                    assertTrue(refusal.getMessage(), refusal.getMessage().startsWith("vector 0 "));
                    continue;
                }
                byte[] expected = Base64.getDecoder().decode((String) blob.getValue());
                byte[] made = Codecs.seal(codec, vectors, count, dimension);
                if (codec == Codecs.BIT) {
                    assertClose(label, expected, made);
                } else {
                    assertArrayEquals(label, expected, made);
                }
                compared++;
            }
        }
        assertEquals(44, compared);
    }

    /** Python rotates by a matrix in single precision: a component within 1e-6 of 0 may have either sign. */
    private static void assertClose(String label, byte[] expected, byte[] made) throws Exception {
        Blob python = opened(expected);
        Blob java = opened(made);
        assertEquals(label, python.count, java.count);
        float[] one = new float[python.dim];
        float[] other = new float[python.dim];
        float[][] decoded = Codecs.decode(java);
        for (int j = 0; j < python.count; j++) {
            Codecs.BIT.unpack(Kernels.portable(), python, j, 1, one);
            Codecs.BIT.unpack(Kernels.portable(), java, j, 1, other);
            float factor = Codecs.BIT.scale(python, j);
            assertEquals(label, factor, Codecs.BIT.scale(java, j), 1e-5f * factor);
            float[] rotated = Codecs.BIT.query(decoded[j]);
            for (int k = 0; k < python.dim; k++) {
                assertTrue(label + ", component " + k, one[k] == other[k] || Math.abs(rotated[k]) < 1e-6);
            }
        }
    }

    private static Blob opened(byte[] bytes) throws Exception {
        Blob blob = new Blob();
        blob.open(bytes, 0, bytes.length);
        return blob;
    }

    private static float[] vectors(Map<String, Object> one) {
        List<Double> flat = ((List<?>) one.get("vectors")).stream()
            .flatMap(vector -> ((List<?>) vector).stream())
            .map(component -> ((Number) component).doubleValue())
            .toList();
        float[] vectors = new float[flat.size()];
        for (int i = 0; i < vectors.length; i++) {
            vectors[i] = flat.get(i).floatValue();
        }
        return vectors;
    }

    @SuppressWarnings("unchecked")
    private static List<Map<String, Object>> cases() throws Exception {
        try (
            InputStream in = PythonBlobsTests.class.getResourceAsStream("blobs.json");
            XContentParser parser = JsonXContent.jsonXContent.createParser(
                NamedXContentRegistry.EMPTY,
                DeprecationHandler.THROW_UNSUPPORTED_OPERATION,
                in
            )
        ) {
            return (List<Map<String, Object>>) (List<?>) parser.list();
        }
    }
}
