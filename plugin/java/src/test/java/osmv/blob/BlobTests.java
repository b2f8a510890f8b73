package osmv.blob;

import java.util.Arrays;
import java.util.zip.CRC32C;
import org.opensearch.test.OpenSearchTestCase;
import osmv.codecs.Codebook;
import osmv.codecs.CodebookMissing;
import osmv.codecs.Codecs;
import osmv.kernels.Kernels;
import osmv.codecs.RandomCodebook;
import osmv.maxsim.DimensionMismatch;
import osmv.maxsim.DocumentScorer;
import osmv.maxsim.MaxSim;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** Whatever bytes a field holds: a right score or a BlobException, nothing else. */
public class BlobTests extends OpenSearchTestCase {
    private static final int DIM = 20;

    private static byte[] blob(String codec, int count) {
        float[] vectors = new float[count * DIM];
        for (int k = 0; k < vectors.length; k++) {
            vectors[k] = (float) random().nextGaussian();
        }
        return Codecs.seal(Codecs.named(codec), vectors, count, DIM);
    }

    private static DocumentScorer scorer() {
        return scorer(null);
    }

    private static DocumentScorer scorer(Codebook codebook) {
        float[][] query = new float[3][DIM];
        for (float[] vector : query) {
            for (int k = 0; k < DIM; k++) {
                vector[k] = (float) random().nextGaussian();
            }
        }
        return new MaxSim(new QueryVectors(query, null, Scoring.SUM_MAX), codebook).scorer();
    }

    private static boolean refused(DocumentScorer scorer, byte[] bytes) {
        try {
            double score = scorer.score(bytes, 0, bytes.length);
            assertFalse("a score that is no number", Double.isNaN(score) || Double.isInfinite(score));
            return false;
        } catch (BlobException | DimensionMismatch | CodebookMissing e) {
            assertNotNull(e.getMessage());
            return true;
        } catch (AssertionError e) {
            // Lucene's dot product asserts what is checked here afterwards.
            assertTrue(e.getMessage(), Kernels.current() == Kernels.portable() && e.getMessage().startsWith("not finite: "));
            return true;
        }
    }

    public void testRandomBytes() {
        DocumentScorer scorer = scorer();
        for (int round = 0; round < 20_000; round++) {
            byte[] bytes = new byte[randomIntBetween(0, 80)];
            random().nextBytes(bytes);
            assertTrue(refused(scorer, bytes));
        }
    }

    public void testCutsAndFlips() {
        DocumentScorer scorer = scorer();
        for (String codec : Codecs.names()) {
            byte[] whole = blob(codec, 5);
            assertFalse(refused(scorer, whole));
            for (int length = 0; length < whole.length; length++) {
                assertTrue(refused(scorer, Arrays.copyOf(whole, length)));
            }
            for (int bit = 0; bit < 8 * whole.length; bit++) {
                byte[] flipped = whole.clone();
                flipped[bit / 8] ^= (byte) (1 << bit % 8);
                // The two reserved bytes are under the checksum as well.
                assertTrue(codec + ", bit " + bit, refused(scorer, flipped));
            }
            assertTrue(refused(scorer, Arrays.copyOf(whole, whole.length + 1)));
        }
    }

    /** A foreign writer's blobs may have a right checksum over a wrong content. */
    public void testAnyHeaderAndPayloadUnderARightChecksum() {
        RandomCodebook codebook = new RandomCodebook(random(), randomIntBetween(1, 9), DIM);
        DocumentScorer scorer = scorer(codebook.codebook);
        for (int round = 0; round < 50_000; round++) {
            int count = randomIntBetween(0, 8);
            byte[] bytes = randomInt(3) == 0
                ? codebook.blob(randomFrom(1, 2, 4), new float[count][])
                : blob(randomFrom(Codecs.names()), count);
            int from = randomBoolean() ? 4 : 16;
            for (int change = randomIntBetween(1, 3); change > 0 && bytes.length > from + 4; change--) {
                bytes[randomIntBetween(from, bytes.length - 5)] = randomFrom(new Byte[] { 0, 1, -1, 127, -128, randomByte() });
            }
            if (randomBoolean()) {
                bytes = Arrays.copyOf(bytes, randomIntBetween(Math.min(20, bytes.length), bytes.length));
            }
            CRC32C crc = new CRC32C();
            crc.update(bytes, 0, bytes.length - 4);
            for (int i = 0; i < 4; i++) {
                bytes[bytes.length - 4 + i] = (byte) (crc.getValue() >> 8 * i);
            }
            refused(scorer, bytes);
        }
    }

    public void testWhatIsSaidOfThem() {
        DocumentScorer scorer = scorer();
        byte[] whole = blob("int8", 2);
        says("token vectors are cut: 3 bytes, an empty blob has 20", scorer, Arrays.copyOf(whole, 3));
        byte[] other = whole.clone();
        other[0] = 'X';
        says("not a token-vector blob", scorer, other);
        other = whole.clone();
        other[4] = 9;
        says("token vectors of format version 9; this release reads version 1", scorer, other);
        other = whole.clone();
        other[30] ^= 1;
        says("token vectors are cut or altered: CRC-32C does not match", scorer, other);
        says("token vectors of codec id 9, which can't be read here", scorer, Blob.seal(9, 1, DIM, new byte[9]));
        says("token vectors are inconsistent: 2 x 20 in f32 are 160 bytes, the blob holds 9", scorer, Blob.seal(1, 2, DIM, new byte[9]));
        says("token vectors are inconsistent: 1 x 0", scorer, Blob.seal(1, 1, 0, new byte[0]));
        says("token vectors are inconsistent: 4294967295 x 20", scorer, Blob.seal(1, -1, DIM, new byte[0]));
        float[] vectors = new float[DIM];
        vectors[3] = Float.NaN;
        if (Kernels.current() != Kernels.portable()) {
            says("token vectors are not finite", scorer, Codecs.seal(Codecs.named("f32"), vectors, 1, DIM));
        }
    }

    private static void says(String message, DocumentScorer scorer, byte[] bytes) {
        BlobException e = expectThrows(BlobException.class, () -> scorer.score(bytes, 0, bytes.length));
        assertTrue(e.getMessage(), e.getMessage().startsWith(message));
    }
}
