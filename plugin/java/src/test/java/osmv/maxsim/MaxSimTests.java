package osmv.maxsim;

import java.util.Locale;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;
import osmv.codecs.StoredCodec;
import osmv.kernels.Kernel;
import osmv.kernels.Kernels;
import org.opensearch.test.OpenSearchTestCase;

/** Every codec and both kernels against sums of maxima in double precision. */
public class MaxSimTests extends OpenSearchTestCase {

    private static float[][] unit(int count, int dim) {
        float[][] vectors = new float[count][dim];
        for (float[] vector : vectors) {
            double norm = 0;
            for (int k = 0; k < dim; k++) {
                vector[k] = (float) random().nextGaussian();
                norm += vector[k] * vector[k];
            }
            for (int k = 0; k < dim; k++) {
                vector[k] /= (float) Math.sqrt(norm);
            }
        }
        return vectors;
    }

    private static byte[] sealed(StoredCodec codec, float[][] vectors, int dim) {
        float[] flat = new float[vectors.length * dim];
        for (int j = 0; j < vectors.length; j++) {
            System.arraycopy(vectors[j], 0, flat, j * dim, dim);
        }
        return Codecs.seal(codec, flat, vectors.length, dim);
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int k = 0; k < a.length; k++) {
            sum += (double) a[k] * b[k];
        }
        return sum;
    }

    private static double naive(float[][] query, float[] weights, Scoring scoring, float[][] document) {
        double sum = 0;
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < query.length; i++) {
            double best = Double.NEGATIVE_INFINITY;
            for (float[] token : document) {
                best = Math.max(best, dot(query[i], token));
            }
            sum += weights[i] * best;
            max = Math.max(max, weights[i] * best);
        }
        return document.length == 0 ? scoring.empty() : scoring == Scoring.SUM_MAX ? sum : max;
    }

    /** How far one similarity may be off: what the codec's text states, and float32 rounding. */
    private static double error(StoredCodec codec, int dim) {
        return switch (codec.name) {
            case "f32" -> 1e-5;
            case "f16" -> 1e-3;
            case "int8" -> 2.0 / 255 / 2 * Math.sqrt(dim) + 1e-5;
            case "int4" -> 2.0 / 15 / 2 * Math.sqrt(dim) + 1e-5;
            // Seven standard deviations of the signs' error and the query's.
            case "bit" -> 7 * 0.79 / Math.sqrt(Math.max(dim - 1, 1)) + 0.15;
            default -> throw new AssertionError(codec.name);
        };
    }

    private static double score(DocumentScorer scorer, byte[] blob) throws BlobException {
        // Somewhere in a larger array, as doc values give it; nothing beside it may be read as part of it.
        byte[] bytes = new byte[blob.length + 40];
        random().nextBytes(bytes);
        System.arraycopy(blob, 0, bytes, 17, blob.length);
        return scorer.score(bytes, 17, blob.length);
    }

    public void testScoresAreThoseOfTheDefinition() throws BlobException {
        for (int round = 0; round < 60; round++) {
            int dim = rarely() ? randomIntBetween(1, 9) : randomFrom(32, 48, 64, 96, 100, 128, 129, 200, 384);
            float[][] query = unit(rarely() ? 1 : randomIntBetween(1, 70), dim);
            float[] weights = randomBoolean() ? null : new float[query.length];
            for (int i = 0; weights != null && i < weights.length; i++) {
                weights[i] = i == 0 ? 1 : randomFloat();
            }
            Scoring scoring = randomFrom(Scoring.values());
            QueryVectors vectors = new QueryVectors(query, weights, scoring);
            for (Kernel kernel : new Kernel[] { Kernels.current(), Kernels.portable() }) {
                DocumentScorer scorer = new MaxSim(vectors, null, kernel).scorer();
                for (int d = 0; d < 5; d++) {
                    float[][] document = unit(d == 0 ? 0 : randomIntBetween(1, 60), dim);
                    double expected = naive(query, vectors.weights(), scoring, document);
                    double n = scoring == Scoring.MAX ? 1 : query.length;
                    for (String name : Codecs.names()) {
                        StoredCodec codec = Codecs.named(name);
                        String message = String.format(
                            Locale.ROOT, "%s %s %d x %d, %d x %d, %s", kernel.name(), name, query.length, dim, document.length, dim, scoring
                        );
                        byte[] blob = sealed(codec, document, dim);
                        double raw = score(scorer, blob);
                        assertEquals(message, expected, raw, n * error(codec, dim));
                        Alignment alignment = scorer.align(blob, 0, blob.length);
                        assertEquals(document.length, alignment.documentTokens());
                        if (document.length > 0) {
                            assertEquals(message, raw, scoring.combine(alignment.similarities(), vectors.weights()), 1e-4 * n);
                        }
                    }
                }
            }
        }
    }

    public void testAlignmentNamesTheTokenItself() throws BlobException {
        float[][] document = unit(40, 96);
        int[] chosen = { 7, 0, 39 };
        float[][] query = { document[7], document[0], document[39] };
        DocumentScorer scorer = new MaxSim(new QueryVectors(query, null, Scoring.SUM_MAX)).scorer();
        for (String name : Codecs.names()) {
            byte[] blob = sealed(Codecs.named(name), document, 96);
            Alignment alignment = scorer.align(blob, 0, blob.length);
            assertArrayEquals(name, chosen, alignment.tokens());
            assertEquals(name, alignment.codec());
        }
    }

    public void testVectorsOfAnyLength() throws BlobException {
        float[][] document = { { 3e4f, -2f, 0f }, { 0, 0, 0 }, { -1e-6f, 1e-6f, 0 } };
        float[][] query = { { 2, 1, -4 }, { 0, 0, 1 } };
        for (String name : new String[] { "f32", "f16", "int8", "int4" }) {
            byte[] blob = sealed(Codecs.named(name), document, 3);
            double raw = new MaxSim(new QueryVectors(query, null, Scoring.SUM_MAX)).scorer().score(blob, 0, blob.length);
            // A vector's levels lie 3e4 / 255 or 3e4 / 15 apart.
            assertEquals(name, 59998, raw, name.equals("int4") ? 7500 : name.equals("int8") ? 500 : 30);
        }
    }

    public void testOpenSearchScoresAreAboveZeroAndInTheOrderOfTheRawOnes() {
        for (Scoring scoring : Scoring.values()) {
            float[] weights = { 1, 0.5f, 0, 2 };
            float last = 0;
            for (double raw = -50; raw < 50; raw += 0.25) {
                float score = scoring.score(raw, weights);
                assertTrue(score > last);
                last = score;
                double n = scoring == Scoring.MAX ? 1 : 3.5;
                assertEquals(raw, score >= n ? score - n : n - n * n / score, 1e-2);
            }
        }
    }

    public void testAnotherDimensionIsTheRequestsFault() {
        byte[] blob = sealed(Codecs.named("int8"), unit(3, 16), 16);
        DocumentScorer scorer = new MaxSim(new QueryVectors(unit(2, 8), null, Scoring.SUM_MAX)).scorer();
        DimensionMismatch e = expectThrows(DimensionMismatch.class, () -> scorer.score(blob, 0, blob.length));
        assertEquals(
            "the query's vectors have 8 dimensions, the stored ones 16: search with the encoder that made the index", e.getMessage()
        );
    }

    public void testQueriesThatCanNotBeMeant() {
        float[][] vectors = { { 1, 2 }, { 3, 4 } };
        refuse("query_vectors is empty", new float[0][], null);
        refuse("query_vectors[1] has 1 dimensions, query_vectors[0] has 2", new float[][] { { 1, 2 }, { 3 } }, null);
        refuse("query_vectors[1][0] is NaN", new float[][] { { 1, 2 }, { Float.NaN, 3 } }, null);
        refuse("there are 1 weights for 2 query_vectors", vectors, new float[] { 1 });
        refuse("weights[1] is -1.0", vectors, new float[] { 1, -1 });
        refuse("all weights are 0", vectors, new float[] { 0, 0 });
    }

    private static void refuse(String message, float[][] vectors, float[] weights) {
        Exception e = expectThrows(IllegalArgumentException.class, () -> new QueryVectors(vectors, weights, Scoring.SUM_MAX));
        assertTrue(e.getMessage(), e.getMessage().startsWith(message));
    }
}
