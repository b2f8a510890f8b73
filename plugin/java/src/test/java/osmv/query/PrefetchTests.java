package osmv.query;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.document.BinaryDocValuesField;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.SortedDocValuesField;
import org.apache.lucene.document.SortedNumericDocValuesField;
import org.apache.lucene.document.SortedSetDocValuesField;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.Field;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.Term;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FilterDirectory;
import org.apache.lucene.store.FilterIndexInput;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.store.IndexInput;
import org.apache.lucene.store.RandomAccessInput;
import org.apache.lucene.util.BytesRef;
import org.opensearch.test.OpenSearchTestCase;

/** What is prefetched are the very bytes that are read afterwards. */
public class PrefetchTests extends OpenSearchTestCase {

    private record Span(long offset, long length) {}

    /** Writes down what is prefetched, and which many bytes are read. */
    private static final class Watched extends FilterDirectory {
        final List<Span> prefetched = new ArrayList<>();
        final List<Span> read = new ArrayList<>();

        Watched(Directory in) {
            super(in);
        }

        @Override
        public IndexInput openInput(String name, IOContext context) throws IOException {
            return new WatchedInput(name, in.openInput(name, context), 0);
        }

        private final class WatchedInput extends FilterIndexInput {
            private final long start;

            WatchedInput(String name, IndexInput in, long start) {
                super(name, in);
                this.start = start;
            }

            @Override
            public IndexInput slice(String name, long offset, long length) throws IOException {
                return new WatchedInput(name, in.slice(name, offset, length), start + offset);
            }

            @Override
            public IndexInput clone() {
                return new WatchedInput("clone", in.clone(), start);
            }

            @Override
            public RandomAccessInput randomAccessSlice(long offset, long length) throws IOException {
                RandomAccessInput slice = in.randomAccessSlice(offset, length);
                long at = start + offset;
                return (RandomAccessInput) java.lang.reflect.Proxy.newProxyInstance(
                    getClass().getClassLoader(),
                    new Class<?>[] { RandomAccessInput.class },
                    (proxy, method, arguments) -> {
                        if (method.getName().equals("prefetch")) {
                            prefetched.add(new Span(at + (long) arguments[0], (long) arguments[1]));
                        }
                        if (method.getName().equals("readBytes")) {
                            read.add(new Span(at + (long) arguments[0], (int) arguments[3]));
                        }
                        return method.invoke(slice, arguments);
                    }
                );
            }
        }
    }

    private void check(boolean sparse, boolean sameLength, boolean compound) throws IOException {
        try (Watched directory = new Watched(new ByteBuffersDirectory())) {
            IndexWriterConfig config = new IndexWriterConfig().setUseCompoundFile(compound);
            config.getMergePolicy().setNoCFSRatio(compound ? 1 : 0);
            try (IndexWriter writer = new IndexWriter(directory, config)) {
                for (int doc = 0; doc < 300; doc++) {
                    Document document = new Document();
                    document.add(new StringField("id", "" + doc, Field.Store.NO));
                    document.add(new NumericDocValuesField("a", doc * 7L));
                    document.add(new SortedDocValuesField("b", new BytesRef("b" + doc % 5)));
                    document.add(new SortedSetDocValuesField("c", new BytesRef("c" + doc)));
                    document.add(new SortedNumericDocValuesField("d", doc));
                    document.add(new NumericDocValuesField("updated", 1));
                    if (sparse == false || doc % 3 == 0) {
                        byte[] value = new byte[sameLength ? 50 : 20 + doc % 60];
                        random().nextBytes(value);
                        document.add(new BinaryDocValuesField("v", new BytesRef(value)));
                    }
                    writer.addDocument(document);
                }
                writer.commit();
                // A field whose values lie in a file of a later generation.
                writer.updateNumericDocValue(new Term("id", "7"), "updated", 2);
                writer.commit();
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                for (LeafReaderContext leaf : reader.leaves()) {
                    BinaryDocValues values = leaf.reader().getBinaryDocValues("v");
                    Prefetch prefetch = Prefetch.of(leaf.reader(), "v");
                    directory.prefetched.clear();
                    directory.read.clear();
                    for (int doc = 0; doc < leaf.reader().maxDoc(); doc += 7) {
                        prefetch.prefetch(doc);
                        if (values.advanceExact(doc)) {
                            values.binaryValue();
                        }
                    }
                    assertTrue(directory.read.size() >= 14);
                    assertEquals(directory.read, directory.prefetched);
                    Prefetch.of(leaf.reader(), "updated").prefetch(3);
                    Prefetch.of(leaf.reader(), "nothing").prefetch(3);
                }
            }
        }
    }

    public void testPrefetchedIsWhatIsRead() throws IOException {
        for (boolean sparse : new boolean[] { false, true }) {
            for (boolean sameLength : new boolean[] { false, true }) {
                for (boolean compound : new boolean[] { false, true }) {
                    check(sparse, sameLength, compound);
                }
            }
        }
    }
}
