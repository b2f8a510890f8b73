package osmv.maxsim;

import java.util.Arrays;

/**
 * A query as it was sent: token vectors, (count, dim), a weight for each (1 by default), and what becomes of the
 * similarities. Immutable: nobody may write to the arrays. Checked in the constructor, whose IllegalArgumentException is for
 * the user.
 */
public record QueryVectors(float[][] vectors, float[] weights, Scoring scoring) {
    public QueryVectors {
        if (vectors.length == 0) {
            throw new IllegalArgumentException("query_vectors is empty: give at least one vector");
        }
        int dim = vectors[0].length;
        for (int i = 0; i < vectors.length; i++) {
            if (vectors[i].length == 0 || vectors[i].length != dim) {
                throw new IllegalArgumentException(
                    "query_vectors[" + i + "] has " + vectors[i].length + " dimensions, query_vectors[0] has " + dim
                );
            }
            for (int k = 0; k < dim; k++) {
                if (!Float.isFinite(vectors[i][k])) {
                    throw new IllegalArgumentException("query_vectors[" + i + "][" + k + "] is " + vectors[i][k] + ", not a finite number");
                }
            }
        }
        if (weights == null) {
            weights = new float[vectors.length];
            Arrays.fill(weights, 1);
        }
        if (weights.length != vectors.length) {
            throw new IllegalArgumentException("there are " + weights.length + " weights for " + vectors.length + " query_vectors");
        }
        double sum = 0;
        for (int i = 0; i < weights.length; i++) {
            if (!Float.isFinite(weights[i]) || weights[i] < 0) {
                throw new IllegalArgumentException("weights[" + i + "] is " + weights[i] + ": a weight is 0 or more");
            }
            sum += weights[i];
        }
        if (sum == 0) {
            throw new IllegalArgumentException("all weights are 0: nothing can be scored");
        }
    }

    public int count() {
        return vectors.length;
    }

    public int dim() {
        return vectors[0].length;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof QueryVectors query && scoring == query.scoring && Arrays.equals(weights, query.weights)
            && Arrays.deepEquals(vectors, query.vectors);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * Arrays.deepHashCode(vectors) + Arrays.hashCode(weights)) + scoring.hashCode();
    }

    @Override
    public String toString() {
        return "QueryVectors[" + count() + " x " + dim() + ", " + scoring + "]";
    }
}
