package osmv.query;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import org.apache.lucene.document.BinaryDocValuesField;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.LateInteractionField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.LateInteractionRescorer;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.QueryRescorer;
import org.apache.lucene.search.Rescorer;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.store.MMapDirectory;
import org.apache.lucene.util.BytesRef;
import org.apache.lucene.util.IOUtils;
import org.apache.lucene.util.VectorUtil;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import osmv.codecs.Codecs;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/**
 * Rescoring 1,000 documents of 200 x 128 for a query of 32 vectors, from a memory-mapped index of one segment: the query
 * {@code maxsim} in Lucene's QueryRescorer, against Lucene's own LateInteractionRescorer over the same floats.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(value = 1, jvmArgs = {"--add-modules=jdk.incubator.vector", "-Xmx2g"})
public class RescoreBenchmark {
    private static final int DOCUMENTS = 1_000;
    private static final int TOKENS = 200;
    private static final int DIM = 128;
    private static final String[] CODECS = {"f32", "int8", "bit"};

    private Path folder;
    private MMapDirectory directory;
    private DirectoryReader reader;
    private IndexSearcher searcher;
    private TopDocs all;
    private float[][] query;

    @Setup
    public void setup() throws IOException {
        RandomGenerator random = RandomGenerator.getDefault();
        folder = Files.createTempDirectory("osmv-rescore");
        directory = new MMapDirectory(folder);
        query = unit(random, 32);
        try (IndexWriter writer = new IndexWriter(directory, new IndexWriterConfig().setRAMBufferSizeMB(1500))) {
            for (int d = 0; d < DOCUMENTS; d++) {
                float[][] vectors = unit(random, TOKENS);
                float[] flat = new float[TOKENS * DIM];
                for (int j = 0; j < TOKENS; j++) {
                    System.arraycopy(vectors[j], 0, flat, j * DIM, DIM);
                }
                Document document = new Document();
                document.add(new LateInteractionField("lucene", vectors));
                for (String codec : CODECS) {
                    byte[] blob = Codecs.seal(Codecs.named(codec), flat, TOKENS, DIM);
                    document.add(new BinaryDocValuesField(codec, new BytesRef(asStored(blob))));
                }
                writer.addDocument(document);
            }
            writer.forceMerge(1);
        }
        reader = DirectoryReader.open(directory);
        searcher = new IndexSearcher(reader);
        all = searcher.search(MatchAllDocsQuery.INSTANCE, DOCUMENTS);
        float[] ours = scores(f32());
        float[] theirs = scores(lucene());
        for (int doc = 0; doc < DOCUMENTS; doc++) {
            // A similarity s counts as 1 + s here, where the sum is not below 0, and as (1 + s) / 2 there.
            if (Math.abs(ours[doc] - 2 * theirs[doc]) > 1e-3) {
                throw new IllegalStateException("scores differ: " + ours[doc] + ", " + theirs[doc]);
            }
        }
    }

    @TearDown
    public void tearDown() throws IOException {
        reader.close();
        directory.close();
        IOUtils.rm(folder);
    }

    /** As OpenSearch's binary fields: a vint count, then a vint length and the bytes. */
    private static byte[] asStored(byte[] blob) {
        byte[] stored = new byte[blob.length + 6];
        int at = 0;
        stored[at++] = 1;
        for (int length = blob.length; ; length >>>= 7) {
            stored[at++] = (byte) (length > 127 ? length | 128 : length);
            if (length <= 127) {
                break;
            }
        }
        System.arraycopy(blob, 0, stored, at, blob.length);
        return Arrays.copyOf(stored, at + blob.length);
    }

    private static float[][] unit(RandomGenerator random, int n) {
        float[][] vectors = new float[n][DIM];
        for (float[] vector : vectors) {
            for (int k = 0; k < DIM; k++) {
                vector[k] = (float) random.nextGaussian();
            }
            VectorUtil.l2normalize(vector);
        }
        return vectors;
    }

    private static float[] scores(TopDocs found) {
        float[] scores = new float[DOCUMENTS];
        for (ScoreDoc hit : found.scoreDocs) {
            scores[hit.doc] = hit.score;
        }
        return scores;
    }

    private TopDocs rescore(Rescorer rescorer) throws IOException {
        ScoreDoc[] hits = new ScoreDoc[DOCUMENTS];
        for (int i = 0; i < DOCUMENTS; i++) {
            hits[i] = new ScoreDoc(all.scoreDocs[i].doc, 1);
        }
        return rescorer.rescore(searcher, new TopDocs(all.totalHits, hits), DOCUMENTS);
    }

    private TopDocs maxsim(String codec) throws IOException {
        MaxSimQuery maxsim = new MaxSimQuery(codec, new QueryVectors(query, null, Scoring.SUM_MAX), null, null, new Searches());
        return rescore(new QueryRescorer(maxsim) {
            @Override
            protected float combine(float firstPassScore, boolean secondPassMatches, float secondPassScore) {
                return secondPassScore;
            }
        });
    }

    @Benchmark
    public TopDocs lucene() throws IOException {
        return rescore(LateInteractionRescorer.create("lucene", query, VectorSimilarityFunction.DOT_PRODUCT));
    }

    @Benchmark
    public TopDocs f32() throws IOException {
        return maxsim("f32");
    }

    @Benchmark
    public TopDocs int8() throws IOException {
        return maxsim("int8");
    }

    @Benchmark
    public TopDocs bit() throws IOException {
        return maxsim("bit");
    }
}
