package osmv.kernels;

import static jdk.incubator.vector.VectorOperators.AND;
import static jdk.incubator.vector.VectorOperators.ASHR;
import static jdk.incubator.vector.VectorOperators.BIT_COUNT;
import static jdk.incubator.vector.VectorOperators.GT;
import static jdk.incubator.vector.VectorOperators.XOR;

import java.util.Arrays;
import jdk.incubator.vector.ByteVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * On the JDK's Vector API, in the machine's widest vectors.
 *
 * <p>Two vectors of query tokens times {@link #TILE} document tokens are twelve accumulators: enough independent additions
 * to hide the latency of a fused multiply-add, few enough for sixteen registers. A step loads two vectors and six broadcasts
 * for twelve multiply-adds, all from the first-level cache.
 */
final class VectorKernel extends Kernel {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, FLOATS.vectorShape());
    private static final VectorSpecies<Byte> ALL_BYTES = VectorSpecies.of(byte.class, FLOATS.vectorShape());
    private static final int LANES = FLOATS.length();
    /** As many bytes as there are lanes; null where no vector is that short. */
    private static final VectorSpecies<Byte> BYTES =
        LANES >= 8 ? VectorSpecies.of(byte.class, VectorShape.forBitSize(8 * LANES)) : null;

    private static final Kernel PORTABLE = new PortableKernel();

    @Override
    public String name() {
        return "vector-" + FLOATS.vectorBitSize();
    }

    @Override
    public int lanes() {
        return LANES;
    }

    @Override
    public void floats(byte[] bytes, int at, int n, float[] into) {
        int bound = ALL_BYTES.loopBound(4 * n);
        for (int i = 0; i < bound; i += 4 * LANES) {
            ByteVector.fromArray(ALL_BYTES, bytes, at + i).reinterpretAsFloats().intoArray(into, i / 4);
        }
        for (int i = bound / 4; i < n; i++) {
            into[i] = (float) PortableKernel.FLOAT.get(bytes, at + 4 * i);
        }
    }

    @Override
    public void ints(byte[] bytes, int at, int n, int[] into) {
        int bound = ALL_BYTES.loopBound(4 * n);
        for (int i = 0; i < bound; i += 4 * LANES) {
            ByteVector.fromArray(ALL_BYTES, bytes, at + i).reinterpretAsInts().intoArray(into, i / 4);
        }
        for (int i = bound / 4; i < n; i++) {
            into[i] = (int) PortableKernel.INT.get(bytes, at + 4 * i);
        }
    }

    @Override
    public void bytes(byte[] bytes, int at, int n, float[] into) {
        int i = 0;
        if (BYTES != null) {
            for (; i <= n - LANES; i += LANES) {
                ByteVector codes = ByteVector.fromArray(BYTES, bytes, at + i);
                ((FloatVector) codes.convertShape(VectorOperators.B2F, FLOATS, 0)).intoArray(into, i);
            }
        }
        for (; i < n; i++) {
            into[i] = bytes[at + i];
        }
    }

    @Override
    public void nibbles(byte[] bytes, int at, int n, float[] into, int to, int high) {
        int i = 0;
        if (BYTES != null) {
            for (; i <= high - LANES; i += LANES) {
                IntVector pairs = (IntVector) ByteVector.fromArray(BYTES, bytes, at + i).convertShape(VectorOperators.B2I, INTS, 0);
                floats(pairs.lanewise(AND, 15)).intoArray(into, to + i);
                floats(pairs.lanewise(ASHR, 4).lanewise(AND, 15)).intoArray(into, to + n + i);
            }
        }
        for (; i < n; i++) {
            into[to + i] = (bytes[at + i] & 15) - 8;
            if (i < high) {
                into[to + n + i] = (bytes[at + i] >> 4 & 15) - 8;
            }
        }
    }

    /** A byte's components at a time, what a last byte has too many of left out; vectors may not be wider than there are. */
    @Override
    public void residual(
        byte[] bytes,
        int at,
        float[] components,
        int codes,
        float[] centroids,
        int from,
        float[] into,
        int to,
        int dim
    ) {
        int done = codes > LANES ? 0 : dim - dim % codes;
        // Species must be constants where they are used, or each vector is an object: hence a loop for each.
        if (codes == 8) {
            for (int k = 0, i = at; k < done; k += 8, i++) {
                FloatVector rest = FloatVector.fromArray(FloatVector.SPECIES_256, components, (bytes[i] & 0xff) * 8);
                FloatVector.fromArray(FloatVector.SPECIES_256, centroids, from + k).add(rest).intoArray(into, to + k);
            }
        } else if (codes == 4) {
            for (int k = 0, i = at; k < done; k += 4, i++) {
                FloatVector rest = FloatVector.fromArray(FloatVector.SPECIES_128, components, (bytes[i] & 0xff) * 4);
                FloatVector.fromArray(FloatVector.SPECIES_128, centroids, from + k).add(rest).intoArray(into, to + k);
            }
        } else {
            for (int k = 0, i = at; k < done; k += 2, i++) {
                FloatVector rest = FloatVector.fromArray(FloatVector.SPECIES_64, components, (bytes[i] & 0xff) * 2);
                FloatVector.fromArray(FloatVector.SPECIES_64, centroids, from + k).add(rest).intoArray(into, to + k);
            }
        }
        PORTABLE.residual(bytes, at + done / codes, components, codes, centroids, from + done, into, to + done, dim - done);
    }

    private static FloatVector floats(IntVector codes) {
        return (FloatVector) codes.sub(8).convert(VectorOperators.I2F, 0);
    }

    @Override
    public void products(FloatTable table, float[] tile, float[] scales, float[] offsets, float[] best) {
        int block = 0;
        for (; block <= table.size - 2 * LANES; block += 2 * LANES) {
            two(table, block, tile, scales, offsets, best);
        }
        if (block < table.size) {
            one(table, block, tile, scales, offsets, best);
        }
    }

    private static void two(FloatTable table, int block, float[] tile, float[] scales, float[] offsets, float[] best) {
        float[] columns = table.columns;
        int dim = table.dim;
        FloatVector a0 = FloatVector.zero(FLOATS);
        FloatVector a1 = a0;
        FloatVector a2 = a0;
        FloatVector a3 = a0;
        FloatVector a4 = a0;
        FloatVector a5 = a0;
        FloatVector b0 = a0;
        FloatVector b1 = a0;
        FloatVector b2 = a0;
        FloatVector b3 = a0;
        FloatVector b4 = a0;
        FloatVector b5 = a0;
        int at = block * dim;
        int next = dim * LANES;
        for (int k = 0; k < dim; k++) {
            FloatVector qa = FloatVector.fromArray(FLOATS, columns, at + k * LANES);
            FloatVector qb = FloatVector.fromArray(FLOATS, columns, at + next + k * LANES);
            FloatVector u0 = FloatVector.broadcast(FLOATS, tile[k]);
            FloatVector u1 = FloatVector.broadcast(FLOATS, tile[dim + k]);
            FloatVector u2 = FloatVector.broadcast(FLOATS, tile[2 * dim + k]);
            FloatVector u3 = FloatVector.broadcast(FLOATS, tile[3 * dim + k]);
            FloatVector u4 = FloatVector.broadcast(FLOATS, tile[4 * dim + k]);
            FloatVector u5 = FloatVector.broadcast(FLOATS, tile[5 * dim + k]);
            a0 = qa.fma(u0, a0);
            b0 = qb.fma(u0, b0);
            a1 = qa.fma(u1, a1);
            b1 = qb.fma(u1, b1);
            a2 = qa.fma(u2, a2);
            b2 = qb.fma(u2, b2);
            a3 = qa.fma(u3, a3);
            b3 = qb.fma(u3, b3);
            a4 = qa.fma(u4, a4);
            b4 = qb.fma(u4, b4);
            a5 = qa.fma(u5, a5);
            b5 = qb.fma(u5, b5);
        }
        FloatVector sums = FloatVector.fromArray(FLOATS, table.sums, block);
        FloatVector.fromArray(FLOATS, best, block)
            .max(a0.mul(scales[0]).add(sums.mul(offsets[0])))
            .max(a1.mul(scales[1]).add(sums.mul(offsets[1])))
            .max(a2.mul(scales[2]).add(sums.mul(offsets[2])))
            .max(a3.mul(scales[3]).add(sums.mul(offsets[3])))
            .max(a4.mul(scales[4]).add(sums.mul(offsets[4])))
            .max(a5.mul(scales[5]).add(sums.mul(offsets[5])))
            .intoArray(best, block);
        sums = FloatVector.fromArray(FLOATS, table.sums, block + LANES);
        FloatVector.fromArray(FLOATS, best, block + LANES)
            .max(b0.mul(scales[0]).add(sums.mul(offsets[0])))
            .max(b1.mul(scales[1]).add(sums.mul(offsets[1])))
            .max(b2.mul(scales[2]).add(sums.mul(offsets[2])))
            .max(b3.mul(scales[3]).add(sums.mul(offsets[3])))
            .max(b4.mul(scales[4]).add(sums.mul(offsets[4])))
            .max(b5.mul(scales[5]).add(sums.mul(offsets[5])))
            .intoArray(best, block + LANES);
    }

    private static void one(FloatTable table, int block, float[] tile, float[] scales, float[] offsets, float[] best) {
        float[] columns = table.columns;
        int dim = table.dim;
        FloatVector a0 = FloatVector.zero(FLOATS);
        FloatVector a1 = a0;
        FloatVector a2 = a0;
        FloatVector a3 = a0;
        FloatVector a4 = a0;
        FloatVector a5 = a0;
        int at = block * dim;
        for (int k = 0; k < dim; k++) {
            FloatVector qa = FloatVector.fromArray(FLOATS, columns, at + k * LANES);
            a0 = qa.fma(FloatVector.broadcast(FLOATS, tile[k]), a0);
            a1 = qa.fma(FloatVector.broadcast(FLOATS, tile[dim + k]), a1);
            a2 = qa.fma(FloatVector.broadcast(FLOATS, tile[2 * dim + k]), a2);
            a3 = qa.fma(FloatVector.broadcast(FLOATS, tile[3 * dim + k]), a3);
            a4 = qa.fma(FloatVector.broadcast(FLOATS, tile[4 * dim + k]), a4);
            a5 = qa.fma(FloatVector.broadcast(FLOATS, tile[5 * dim + k]), a5);
        }
        FloatVector sums = FloatVector.fromArray(FLOATS, table.sums, block);
        FloatVector.fromArray(FLOATS, best, block)
            .max(a0.mul(scales[0]).add(sums.mul(offsets[0])))
            .max(a1.mul(scales[1]).add(sums.mul(offsets[1])))
            .max(a2.mul(scales[2]).add(sums.mul(offsets[2])))
            .max(a3.mul(scales[3]).add(sums.mul(offsets[3])))
            .max(a4.mul(scales[4]).add(sums.mul(offsets[4])))
            .max(a5.mul(scales[5]).add(sums.mul(offsets[5])))
            .intoArray(best, block);
    }

    @Override
    public void signs(BitTable table, int[] words, float[] factors, int n, int[] sums, float[] best) {
        int last = table.words - BitTable.CHUNK;
        for (int block = 0; block < table.size; block += LANES) {
            if (last > 0) {
                Arrays.fill(sums, 0, n * LANES, 0);
            }
            for (int w = 0; w < last; w += BitTable.CHUNK) {
                count(table, block, words, w, n, sums);
            }
            finish(table, block, words, last, n, sums, factors, best);
        }
    }

    /**
     * Adds to {@code sums} in how many bits four words of every token differ from a lane block's planes, whose sixteen
     * vectors stay in registers (of 512 bits there are 32) while the tokens pass by.
     */
    private static void count(BitTable table, int block, int[] words, int w, int n, int[] sums) {
        int[] planes = table.planes;
        int width = table.words;
        int at = (block * width + w * LANES) * BitTable.PLANES;
        IntVector a0 = IntVector.fromArray(INTS, planes, at);
        IntVector a1 = IntVector.fromArray(INTS, planes, at + LANES);
        IntVector a2 = IntVector.fromArray(INTS, planes, at + 2 * LANES);
        IntVector a3 = IntVector.fromArray(INTS, planes, at + 3 * LANES);
        IntVector b0 = IntVector.fromArray(INTS, planes, at + 4 * LANES);
        IntVector b1 = IntVector.fromArray(INTS, planes, at + 5 * LANES);
        IntVector b2 = IntVector.fromArray(INTS, planes, at + 6 * LANES);
        IntVector b3 = IntVector.fromArray(INTS, planes, at + 7 * LANES);
        IntVector c0 = IntVector.fromArray(INTS, planes, at + 8 * LANES);
        IntVector c1 = IntVector.fromArray(INTS, planes, at + 9 * LANES);
        IntVector c2 = IntVector.fromArray(INTS, planes, at + 10 * LANES);
        IntVector c3 = IntVector.fromArray(INTS, planes, at + 11 * LANES);
        IntVector d0 = IntVector.fromArray(INTS, planes, at + 12 * LANES);
        IntVector d1 = IntVector.fromArray(INTS, planes, at + 13 * LANES);
        IntVector d2 = IntVector.fromArray(INTS, planes, at + 14 * LANES);
        IntVector d3 = IntVector.fromArray(INTS, planes, at + 15 * LANES);
        for (int j = 0; j < n; j++) {
            IntVector a = IntVector.broadcast(INTS, words[j * width + w]);
            IntVector b = IntVector.broadcast(INTS, words[j * width + w + 1]);
            IntVector c = IntVector.broadcast(INTS, words[j * width + w + 2]);
            IntVector d = IntVector.broadcast(INTS, words[j * width + w + 3]);
            IntVector s0 = a.lanewise(XOR, a0).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b0).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c0).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d0).lanewise(BIT_COUNT));
            IntVector s1 = a.lanewise(XOR, a1).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b1).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c1).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d1).lanewise(BIT_COUNT));
            IntVector s2 = a.lanewise(XOR, a2).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b2).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c2).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d2).lanewise(BIT_COUNT));
            IntVector s3 = a.lanewise(XOR, a3).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b3).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c3).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d3).lanewise(BIT_COUNT));
            s2 = s2.add(s3).add(s3);
            s1 = s1.add(s2).add(s2);
            IntVector.fromArray(INTS, sums, j * LANES).add(s0).add(s1).add(s1).intoArray(sums, j * LANES);
        }
    }

    /** The same for the last four words, and what becomes of the sums. */
    private static void finish(
        BitTable table, int block, int[] words, int w, int n, int[] sums, float[] factors, float[] best
    ) {
        int[] planes = table.planes;
        int width = table.words;
        int at = (block * width + w * LANES) * BitTable.PLANES;
        IntVector a0 = IntVector.fromArray(INTS, planes, at);
        IntVector a1 = IntVector.fromArray(INTS, planes, at + LANES);
        IntVector a2 = IntVector.fromArray(INTS, planes, at + 2 * LANES);
        IntVector a3 = IntVector.fromArray(INTS, planes, at + 3 * LANES);
        IntVector b0 = IntVector.fromArray(INTS, planes, at + 4 * LANES);
        IntVector b1 = IntVector.fromArray(INTS, planes, at + 5 * LANES);
        IntVector b2 = IntVector.fromArray(INTS, planes, at + 6 * LANES);
        IntVector b3 = IntVector.fromArray(INTS, planes, at + 7 * LANES);
        IntVector c0 = IntVector.fromArray(INTS, planes, at + 8 * LANES);
        IntVector c1 = IntVector.fromArray(INTS, planes, at + 9 * LANES);
        IntVector c2 = IntVector.fromArray(INTS, planes, at + 10 * LANES);
        IntVector c3 = IntVector.fromArray(INTS, planes, at + 11 * LANES);
        IntVector d0 = IntVector.fromArray(INTS, planes, at + 12 * LANES);
        IntVector d1 = IntVector.fromArray(INTS, planes, at + 13 * LANES);
        IntVector d2 = IntVector.fromArray(INTS, planes, at + 14 * LANES);
        IntVector d3 = IntVector.fromArray(INTS, planes, at + 15 * LANES);
        FloatVector delta = FloatVector.fromArray(FLOATS, table.minusDelta, block);
        FloatVector most = FloatVector.fromArray(FLOATS, table.most, block);
        FloatVector max = FloatVector.fromArray(FLOATS, best, block);
        for (int j = 0; j < n; j++) {
            IntVector a = IntVector.broadcast(INTS, words[j * width + w]);
            IntVector b = IntVector.broadcast(INTS, words[j * width + w + 1]);
            IntVector c = IntVector.broadcast(INTS, words[j * width + w + 2]);
            IntVector d = IntVector.broadcast(INTS, words[j * width + w + 3]);
            IntVector s0 = a.lanewise(XOR, a0).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b0).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c0).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d0).lanewise(BIT_COUNT));
            IntVector s1 = a.lanewise(XOR, a1).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b1).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c1).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d1).lanewise(BIT_COUNT));
            IntVector s2 = a.lanewise(XOR, a2).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b2).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c2).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d2).lanewise(BIT_COUNT));
            IntVector s3 = a.lanewise(XOR, a3).lanewise(BIT_COUNT)
                .add(b.lanewise(XOR, b3).lanewise(BIT_COUNT))
                .add(c.lanewise(XOR, c3).lanewise(BIT_COUNT))
                .add(d.lanewise(XOR, d3).lanewise(BIT_COUNT));
            s2 = s2.add(s3).add(s3);
            s1 = s1.add(s2).add(s2);
            IntVector sum = IntVector.fromArray(INTS, sums, j * LANES).add(s0).add(s1).add(s1);
            FloatVector product = ((FloatVector) sum.convert(VectorOperators.I2F, 0)).fma(delta, most).mul(factors[j]);
            // Not max(): what Java asks of it for NaN and -0 takes several instructions.
            max = max.blend(product, product.compare(GT, max));
        }
        max.intoArray(best, block);
    }
}
