package osmv.codecs;

import java.util.SplittableRandom;

/**
 * The rotation of {@code encoding/codecs/rotation.py}, the same in every language: four rounds, each of random signs for
 * all components and then the orthonormal Walsh-Hadamard transform of p of them, the first p in odd rounds and the last
 * p in even ones, p the greatest power of two that is not over the dimension.
 */
final class Rotation {
    private static final int ROUNDS = 4;

    private final boolean[][] negative;
    private final int width;

    Rotation(int dim) {
        negative = new boolean[ROUNDS][dim];
        width = Integer.highestOneBit(dim);
        SplittableRandom random = new SplittableRandom(0);
        for (boolean[] round : negative) {
            for (int k = 0; k < dim; k++) {
                round[k] = random.nextLong() < 0;
            }
        }
    }

    float[] rotate(float[] vector) {
        double[] x = doubles(vector);
        for (int round = 0; round < ROUNDS; round++) {
            flip(x, negative[round]);
            hadamard(x, start(round, x.length));
        }
        return floats(x);
    }

    /** The transform and the signs are their own inverses. */
    float[] back(float[] vector) {
        double[] x = doubles(vector);
        for (int round = ROUNDS - 1; round >= 0; round--) {
            hadamard(x, start(round, x.length));
            flip(x, negative[round]);
        }
        return floats(x);
    }

    private int start(int round, int dim) {
        return round % 2 == 0 ? 0 : dim - width;
    }

    private static void flip(double[] x, boolean[] signs) {
        for (int k = 0; k < x.length; k++) {
            x[k] = signs[k] ? -x[k] : x[k];
        }
    }

    private void hadamard(double[] x, int start) {
        for (int span = 1; span < width; span *= 2) {
            for (int block = start; block < start + width; block += 2 * span) {
                for (int k = block; k < block + span; k++) {
                    double sum = x[k] + x[k + span];
                    x[k + span] = x[k] - x[k + span];
                    x[k] = sum;
                }
            }
        }
        double norm = Math.sqrt(width);
        for (int k = start; k < start + width; k++) {
            x[k] /= norm;
        }
    }

    private static double[] doubles(float[] vector) {
        double[] x = new double[vector.length];
        for (int k = 0; k < x.length; k++) {
            x[k] = vector[k];
        }
        return x;
    }

    private static float[] floats(double[] x) {
        float[] vector = new float[x.length];
        for (int k = 0; k < x.length; k++) {
            vector[k] = (float) x[k];
        }
        return vector;
    }
}
