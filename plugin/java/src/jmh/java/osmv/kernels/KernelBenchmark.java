package osmv.kernels;

import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;
import org.apache.lucene.util.VectorUtil;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;
import osmv.maxsim.DocumentScorer;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/**
 * A query of 32 vectors against 1,000 stored documents of 200, 128 dimensions each: 1.64 GFLOP. {@code peak} does as many
 * multiply-adds in registers; {@code pairs} is a SIMD dot product for each pair of tokens, over floats decoded beforehand.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(value = 1, jvmArgs = {"--add-modules=jdk.incubator.vector", "-Xmx2g"})
public class KernelBenchmark {
    private static final int DOCUMENTS = 1_000;
    private static final int TOKENS = 200;
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;

    @Param("128")
    int dim;

    @Param("32")
    int queryTokens;

    private float[][] query;
    private float[][][] documents;
    private byte[][] f32;
    private byte[][] f16;
    private byte[][] int8;
    private byte[][] int4;
    private byte[][] bit;
    private DocumentScorer scorer;

    @Setup
    public void setup() throws BlobException {
        RandomGenerator random = RandomGenerator.getDefault();
        query = unit(random, queryTokens);
        documents = new float[DOCUMENTS][][];
        for (int d = 0; d < DOCUMENTS; d++) {
            documents[d] = unit(random, TOKENS);
        }
        f32 = sealed("f32");
        f16 = sealed("f16");
        int8 = sealed("int8");
        int4 = sealed("int4");
        bit = sealed("bit");
        scorer = new MaxSim(new QueryVectors(query, null, Scoring.SUM_MAX)).scorer();
        double f = scorer.score(f32[0], 0, f32[0].length);
        double i = scorer.score(int8[0], 0, int8[0].length);
        if (Math.abs(f - i) > 0.1 || Math.abs(f - pairs(documents[0])) > 1e-3) {
            throw new IllegalStateException("scores differ: " + f + ", " + i + ", " + pairs(documents[0]));
        }
    }

    private float[][] unit(RandomGenerator random, int n) {
        float[][] vectors = new float[n][dim];
        for (float[] vector : vectors) {
            for (int k = 0; k < dim; k++) {
                vector[k] = (float) random.nextGaussian();
            }
            VectorUtil.l2normalize(vector);
        }
        return vectors;
    }

    private byte[][] sealed(String codec) {
        byte[][] blobs = new byte[DOCUMENTS][];
        for (int d = 0; d < DOCUMENTS; d++) {
            float[] flat = new float[TOKENS * dim];
            for (int j = 0; j < TOKENS; j++) {
                System.arraycopy(documents[d][j], 0, flat, j * dim, dim);
            }
            blobs[d] = Codecs.seal(Codecs.named(codec), flat, TOKENS, dim);
        }
        return blobs;
    }

    private double all(byte[][] blobs) throws BlobException {
        double sum = 0;
        for (byte[] blob : blobs) {
            sum += scorer.score(blob, 0, blob.length);
        }
        return sum;
    }

    /** Twelve chains of multiply-adds, as many of them as the documents take. */
    @Benchmark
    public float peak() {
        FloatVector x = FloatVector.broadcast(FLOATS, 1.0000001f);
        FloatVector y = FloatVector.broadcast(FLOATS, query[0][0]);
        FloatVector a = y;
        FloatVector b = y.add(1);
        FloatVector c = y.add(2);
        FloatVector d = y.add(3);
        FloatVector e = y.add(4);
        FloatVector f = y.add(5);
        FloatVector g = y.add(6);
        FloatVector h = y.add(7);
        FloatVector i = y.add(8);
        FloatVector j = y.add(9);
        FloatVector k = y.add(10);
        FloatVector l = y.add(11);
        long steps = (long) DOCUMENTS * TOKENS * queryTokens * dim / FLOATS.length() / 12;
        for (int step = 0; step < steps; step++) {
            a = a.fma(x, y);
            b = b.fma(x, y);
            c = c.fma(x, y);
            d = d.fma(x, y);
            e = e.fma(x, y);
            f = f.fma(x, y);
            g = g.fma(x, y);
            h = h.fma(x, y);
            i = i.fma(x, y);
            j = j.fma(x, y);
            k = k.fma(x, y);
            l = l.fma(x, y);
        }
        return a.add(b).add(c).add(d).add(e).add(f).add(g).add(h).add(i).add(j).add(k).add(l).lane(0);
    }

    @Benchmark
    public double pairs() {
        double sum = 0;
        for (float[][] document : documents) {
            sum += pairs(document);
        }
        return sum;
    }

    private double pairs(float[][] document) {
        double sum = 0;
        for (float[] q : query) {
            float best = Float.NEGATIVE_INFINITY;
            for (float[] token : document) {
                best = Math.max(best, VectorUtil.dotProduct(q, token));
            }
            sum += best;
        }
        return sum;
    }

    @Benchmark
    public double f32() throws BlobException {
        return all(f32);
    }

    @Benchmark
    public double f16() throws BlobException {
        return all(f16);
    }

    @Benchmark
    public double int8() throws BlobException {
        return all(int8);
    }

    @Benchmark
    public double int4() throws BlobException {
        return all(int4);
    }

    @Benchmark
    public double bit() throws BlobException {
        return all(bit);
    }
}
