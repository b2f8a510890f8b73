package osmv.maxsim;

import java.util.Arrays;
import java.util.Locale;

/**
 * What becomes of the best similarity s_i of each query token i, with weights w_i: one number for the document.
 *
 * <p>{@code SUM_MAX}: sum of w_i s_i (ColBERT); 0 for a document without vectors. {@code MAX}: the largest w_i s_i, for vectors
 * that are alternatives; -1 for a document without vectors. As {@code encoding/scores/*.py}.
 */
public enum Scoring {
    SUM_MAX {
        @Override
        public double combine(float[] best, float[] weights) {
            double sum = 0;
            for (int i = 0; i < weights.length; i++) {
                sum += (double) weights[i] * best[i];
            }
            return sum;
        }

        @Override
        public double empty() {
            return 0;
        }

        @Override
        public double scale(float[] weights) {
            double sum = 0;
            for (float weight : weights) {
                sum += weight;
            }
            return sum;
        }
    },
    MAX {
        @Override
        public double combine(float[] best, float[] weights) {
            double max = Double.NEGATIVE_INFINITY;
            for (int i = 0; i < weights.length; i++) {
                max = Math.max(max, (double) weights[i] * best[i]);
            }
            return max;
        }

        @Override
        public double empty() {
            return -1;
        }

        @Override
        public double scale(float[] weights) {
            return 1;
        }
    };

    /** The raw score; {@code best} may be longer than {@code weights}, which are as many as query tokens. */
    public abstract double combine(float[] best, float[] weights);

    /** The raw score of a document without vectors. */
    public abstract double empty();

    /** n of {@link #score}: what the raw score is a multiple of, about. */
    public abstract double scale(float[] weights);

    /**
     * The score that OpenSearch sees, which must not be negative: n f(S / n) with f(x) = 1 + x where x &gt;= 0 and 1 / (1 - x)
     * below (k-NN's transform of an inner product). Strictly monotone in S, above 0; where S &gt;= 0 it is n + S.
     */
    public float score(double raw, float[] weights) {
        double n = scale(weights);
        return (float) (raw >= 0 ? n + raw : n * n / (n - raw));
    }

    public static Scoring named(String name) {
        try {
            return valueOf(name.toUpperCase(Locale.ROOT));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("unknown score [" + name + "]: choose one of " + names().toLowerCase(Locale.ROOT), e);
        }
    }

    private static String names() {
        return String.join(", ", Arrays.stream(values()).map(Enum::name).toList());
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
