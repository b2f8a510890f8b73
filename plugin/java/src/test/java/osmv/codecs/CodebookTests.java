package osmv.codecs;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.test.OpenSearchTestCase;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.kernels.Kernel;
import osmv.kernels.Kernels;
import osmv.maxsim.Alignment;
import osmv.maxsim.DocumentScorer;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** Codebooks and residual codecs: Python's files (codebooks.json is made by make_codebooks.py beside it), and random ones. */
public final class CodebookTests extends OpenSearchTestCase {
    private static float[][] vectors(int count, int dim) {
        float[][] vectors = new float[count][dim];
        for (float[] vector : vectors) {
            for (int k = 0; k < dim; k++) {
                vector[k] = (float) (random().nextGaussian() / Math.sqrt(dim));
            }
        }
        return vectors;
    }

    /** MaxSim in double precision, as it is written down. */
    private static double naive(float[][] query, float[][] document) {
        double sum = 0;
        for (float[] token : query) {
            double best = Double.NEGATIVE_INFINITY;
            for (float[] other : document) {
                double product = 0;
                for (int k = 0; k < token.length; k++) {
                    product += (double) token[k] * other[k];
                }
                best = Math.max(best, product);
            }
            sum += best;
        }
        return sum;
    }

    private static void assertScores(String label, Codebook codebook, byte[] blob, float[][] document) throws BlobException {
        float[][] query = vectors(randomIntBetween(1, 40), codebook.dim);
        QueryVectors vectors = new QueryVectors(query, null, Scoring.SUM_MAX);
        double expected = naive(query, document);
        for (Kernel kernel : new Kernel[] { Kernels.current(), Kernels.portable() }) {
            DocumentScorer scorer = new MaxSim(vectors, codebook, kernel).scorer();
            // Somewhere in a larger array, as doc values give it.
            byte[] bytes = new byte[blob.length + 40];
            random().nextBytes(bytes);
            System.arraycopy(blob, 0, bytes, 17, blob.length);
            assertEquals(label + kernel.name(), expected, scorer.score(bytes, 17, blob.length), 1e-4 * query.length);
            Alignment alignment = scorer.align(bytes, 17, blob.length);
            double aligned = Scoring.SUM_MAX.combine(alignment.similarities(), vectors.weights());
            assertEquals(label, expected, aligned, 1e-4 * query.length);
        }
    }

    @SuppressWarnings("unchecked")
    public void testReadsWhatPythonWrites() throws Exception {
        List<Object> cases;
        try (
            InputStream in = CodebookTests.class.getResourceAsStream("codebooks.json");
            XContentParser parser = createParser(JsonXContent.jsonXContent, in)
        ) {
            cases = parser.list();
        }
        assertEquals(3, cases.size());
        for (Object each : cases) {
            Map<String, Object> one = (Map<String, Object>) each;
            Codebook codebook = Codebook.read(Base64.getDecoder().decode((String) one.get("npz")));
            assertEquals(one.get("id"), codebook.id);
            assertEquals(one.get("size"), codebook.size);
            assertEquals(one.get("dimension"), codebook.dim);
            for (Map.Entry<String, String> blob : ((Map<String, String>) one.get("blobs")).entrySet()) {
                List<List<Number>> rows = ((Map<String, List<List<Number>>>) one.get("vectors")).get(blob.getKey());
                float[][] document = new float[rows.size()][codebook.dim];
                for (int j = 0; j < document.length; j++) {
                    for (int k = 0; k < codebook.dim; k++) {
                        document[j][k] = rows.get(j).get(k).floatValue();
                    }
                }
                assertScores(codebook + " " + blob.getKey(), codebook, Base64.getDecoder().decode(blob.getValue()), document);
            }
        }
    }

    public void testScoresAreThoseOfTheDefinition() throws BlobException {
        for (int round = 0; round < 40; round++) {
            int dim = rarely() ? randomIntBetween(1, 9) : randomFrom(32, 48, 96, 128, 129, 131);
            RandomCodebook random = new RandomCodebook(random(), randomIntBetween(1, 300), dim);
            for (int bits : new int[] { 1, 2, 4 }) {
                float[][] document = new float[randomIntBetween(1, 40)][];
                byte[] blob = random.blob(bits, document);
                assertScores(bits + " bits, " + dim + " dimensions, ", random.codebook, blob, document);
            }
        }
    }

    public void testIdsOfFourBytes() throws BlobException {
        RandomCodebook random = new RandomCodebook(random(), 65_537, 3);
        float[][] document = new float[9][];
        assertScores("", random.codebook, random.blob(2, document), document);
        float[][] small = new float[9][];
        assertEquals(random.blob(2, document).length - 18, new RandomCodebook(random(), 65_536, 3).blob(2, small).length);
    }

    public void testDocumentsThatTheCodebookDoesNotFit() {
        RandomCodebook own = new RandomCodebook(random(), 300, 20);
        RandomCodebook other = new RandomCodebook(random(), 300, 20);
        float[][] document = new float[4][];
        byte[] blob = own.blob(2, document);
        QueryVectors query = new QueryVectors(vectors(3, 20), null, Scoring.SUM_MAX);
        DocumentScorer without = new MaxSim(query).scorer();
        CodebookMissing missing = expectThrows(CodebookMissing.class, () -> without.score(blob, 0, blob.length));
        assertEquals(
            "token vectors of codec residual2 need the codebook that they were written with: name its id as [codebook]",
            missing.getMessage()
        );
        String both = "were written with codebook " + own.codebook.id + ", the query names " + other.codebook.id;
        says(both, other.codebook, query, blob);
        byte[] payload = Arrays.copyOfRange(blob, Blob.HEADER_SIZE, blob.length - 4);
        byte[] cut = Blob.seal(7, 4, 20, Arrays.copyOf(payload, payload.length - 1));
        says("4 x 20 in residual2 are 52 bytes, the blob holds 51", own.codebook, query, cut);
        says("1 x 20 in residual1 are 17 bytes, the blob holds 3", own.codebook, query, Blob.seal(6, 1, 20, new byte[3]));
        byte[] beyond = payload.clone();
        beyond[8 + 4 * 4 + 1] = (byte) 0xff;
        says("do not fit codebook " + own.codebook.id, own.codebook, query, Blob.seal(7, 4, 20, beyond));
        byte[] narrow = new byte[8 + 4 + 2 + 4];
        System.arraycopy(payload, 0, narrow, 0, 8);
        QueryVectors narrowQuery = new QueryVectors(vectors(3, 16), null, Scoring.SUM_MAX);
        says("do not fit codebook " + own.codebook.id, own.codebook, narrowQuery, Blob.seal(7, 1, 16, narrow));
    }

    private static void says(String message, Codebook codebook, QueryVectors query, byte[] blob) {
        DocumentScorer scorer = new MaxSim(query, codebook).scorer();
        BlobException e = expectThrows(BlobException.class, () -> scorer.score(blob, 0, blob.length));
        assertTrue(e.getMessage(), e.getMessage().contains(message));
    }

    public void testFilesThatAreNoCodebook() {
        byte[] centroids = RandomCodebook.npy("<f2", "(3, 2)", new byte[12]);
        byte[] weights = RandomCodebook.npy("<f4", "(2,)", new byte[8]);
        refuse("[centroids] has to be there", new LinkedHashMap<>());
        refuse("[centroids] has to be there", Map.of("centroids.npy", weights));
        refuse("[weights_1] has to be there", Map.of("centroids.npy", centroids));
        Map<String, byte[]> twoOfFour = Map.of("centroids.npy", centroids, "weights_1.npy", weights, "weights_2.npy", weights);
        refuse("[weights_2] has to be there", twoOfFour);
        refuse("[centroids] is no array that numpy.savez wrote", Map.of("centroids", centroids));
        refuse("is no array in NumPy's format 1.0", Map.of("centroids.npy", new byte[9]));
        refuse("is no array in NumPy's format 1.0", Map.of("centroids.npy", "no array, but long enough".getBytes(UTF_8)));
        for (String type : List.of("<i4", ">f4", "|O")) {
            refuse("is no array of little-endian floats", Map.of("x.npy", RandomCodebook.npy(type, "(3,)", new byte[12])));
        }
        for (String shape : List.of("()", "(1, 1, 1)", "(-1,)")) {
            refuse("is no array of little-endian floats", Map.of("x.npy", RandomCodebook.npy("<f4", shape, new byte[4])));
        }
        refuse("holds 11 bytes for the shape [3, 2]", Map.of("x.npy", RandomCodebook.npy("<f2", "(3, 2)", new byte[11])));
        refuse(
            "holds 0 bytes for the shape [999999999, 999999999]",
            Map.of("x.npy", RandomCodebook.npy("<f8", "(999999999, 999999999)", new byte[0]))
        );
    }

    private static void refuse(String message, Map<String, byte[]> files) {
        IOException e = expectThrows(IOException.class, () -> Codebook.read(RandomCodebook.zip(files)));
        assertTrue(e.getMessage(), e.getMessage().contains(message));
    }

    public void testAFileThatIsCutOrAlteredIsNoneOrAnother() throws IOException {
        RandomCodebook random = new RandomCodebook(random(), 5, 8);
        List<byte[]> damaged = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            byte[] bytes = random.npz.clone();
            bytes[randomInt(bytes.length - 1)] ^= (byte) (1 << randomInt(7));
            damaged.add(bytes);
            damaged.add(Arrays.copyOf(random.npz, randomInt(random.npz.length - 1)));
        }
        int refused = 0;
        for (byte[] bytes : damaged) {
            try {
                Codebook read = Codebook.read(bytes);
                // What no array depends on may be lost: dates, or the zip's directory.
                assertEquals(random.codebook, read);
                assertArrayEquals(random.codebook.centroids, read.centroids, 0);
            } catch (IOException e) {
                refused++;
            }
        }
        assertTrue("refused: " + refused, refused > damaged.size() / 2);
    }
}
