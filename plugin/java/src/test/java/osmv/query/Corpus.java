package osmv.query;

import java.util.Base64;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import osmv.codecs.Codecs;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** Random documents and queries, and MaxSim in double precision as it is written down in papers. */
final class Corpus {
    static final int DIM = 33;
    /** By how much one similarity of vectors of length 1 may be off. */
    static final Map<String, Double> ERROR =
        new TreeMap<>(Map.of("f32", 1e-5, "f16", 1e-3, "int8", 1e-2, "int4", 0.15, "bit", 0.9));

    private Corpus() {}

    static float[][] vectors(Random random, int count) {
        float[][] vectors = new float[count][DIM];
        for (float[] vector : vectors) {
            double squares = 0;
            for (int k = 0; k < DIM; k++) {
                vector[k] = (float) random.nextGaussian();
                squares += vector[k] * vector[k];
            }
            for (int k = 0; k < DIM; k++) {
                vector[k] /= (float) Math.sqrt(squares);
            }
        }
        return vectors;
    }

    static byte[] blob(String codec, float[][] vectors) {
        float[] flat = new float[vectors.length * DIM];
        for (int j = 0; j < vectors.length; j++) {
            System.arraycopy(vectors[j], 0, flat, j * DIM, DIM);
        }
        return Codecs.seal(Codecs.named(codec), flat, vectors.length, DIM);
    }

    static String base64(String codec, float[][] vectors) {
        return Base64.getEncoder().encodeToString(blob(codec, vectors));
    }

    /** The raw score. */
    static double maxsim(QueryVectors query, float[][] document) {
        double sum = 0;
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < query.count(); i++) {
            double best = Double.NEGATIVE_INFINITY;
            for (float[] token : document) {
                double product = 0;
                for (int k = 0; k < DIM; k++) {
                    product += (double) query.vectors()[i][k] * token[k];
                }
                best = Math.max(best, product);
            }
            sum += query.weights()[i] * best;
            max = Math.max(max, query.weights()[i] * best);
        }
        return query.scoring() == Scoring.SUM_MAX ? sum : max;
    }

    /** n f(S / n), f(x) = 1 + x from 0 on, 1 / (1 - x) below. */
    static double score(QueryVectors query, float[][] document) {
        double n = 0;
        for (float weight : query.weights()) {
            n += weight;
        }
        if (query.scoring() == Scoring.MAX) {
            n = 1;
        }
        double x = maxsim(query, document) / n;
        return n * (x >= 0 ? 1 + x : 1 / (1 - x));
    }
}
