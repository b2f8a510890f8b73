package osmv.query;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FieldInfos;
import org.apache.lucene.index.FilterDirectoryReader;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.util.Bits;
import org.apache.lucene.util.FixedBitSet;
import org.opensearch.index.IndexModule;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHits;
import osmv.maxsim.QueryVectors;

/**
 * Document- and field-level security show a user's searches a reader that hides documents or fields. So does this: what is
 * hidden must not be scored, by the query or the rescorer, though prefetching looks at the segment beneath.
 */
public final class SecuredReaderTests extends NodeTestCase {
    private static volatile boolean hideDocuments;
    private static volatile boolean hideField;

    public static final class HidingPlugin extends Plugin {
        @Override
        public void onIndexModule(IndexModule module) {
            module.setReaderWrapper(service -> HidingReader::new);
        }
    }

    private static final class HidingReader extends FilterDirectoryReader {
        HidingReader(DirectoryReader in) throws IOException {
            super(in, new SubReaderWrapper() {
                @Override
                public LeafReader wrap(LeafReader reader) {
                    return new HidingLeaf(reader);
                }
            });
        }

        @Override
        protected DirectoryReader doWrapDirectoryReader(DirectoryReader in) throws IOException {
            return new HidingReader(in);
        }

        @Override
        public CacheHelper getReaderCacheHelper() {
            return in.getReaderCacheHelper();
        }
    }

    /** Every second document is hidden, or the field mv. */
    private static final class HidingLeaf extends FilterLeafReader {
        private final FixedBitSet live;

        HidingLeaf(LeafReader in) {
            super(in);
            live = new FixedBitSet(in.maxDoc());
            for (int doc = 0; doc < in.maxDoc(); doc++) {
                boolean deleted = in.getLiveDocs() != null && !in.getLiveDocs().get(doc);
                if (!deleted && !(hideDocuments && doc % 2 == 0)) {
                    live.set(doc);
                }
            }
        }

        @Override
        public Bits getLiveDocs() {
            return live;
        }

        @Override
        public int numDocs() {
            return live.cardinality();
        }

        @Override
        public FieldInfos getFieldInfos() {
            List<FieldInfo> shown = new ArrayList<>();
            in.getFieldInfos().forEach(shown::add);
            shown.removeIf(info -> hideField && info.name.equals("mv"));
            return new FieldInfos(shown.toArray(FieldInfo[]::new));
        }

        @Override
        public BinaryDocValues getBinaryDocValues(String field) throws IOException {
            return hideField && field.equals("mv") ? null : in.getBinaryDocValues(field);
        }

        @Override
        public CacheHelper getCoreCacheHelper() {
            return in.getCoreCacheHelper();
        }

        @Override
        public CacheHelper getReaderCacheHelper() {
            return null;
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(osmv.MultiVectorPlugin.class, HookPlugin.class, HidingPlugin.class);
    }

    private SearchHits query(QueryVectors query) {
        return search(maxsim(query)).get().getHits();
    }

    private SearchHits rescored(QueryVectors query) {
        MaxSimRescorerBuilder rescorer = new MaxSimRescorerBuilder("mv", query, NamedCodebook.NONE, null, searches());
        return search(QueryBuilders.matchAllQuery()).setRescorer(rescorer, 100).get().getHits();
    }

    public void testHiddenDocumentsAndFieldsAreNotScored() {
        hideDocuments = false;
        hideField = false;
        index("int8");
        QueryVectors query = query();
        assertEquals(documents.keySet(), new HashSet<>(ids(query(query))));

        hideDocuments = true;
        Set<String> shown = new HashSet<>(ids(search(QueryBuilders.matchAllQuery()).get().getHits()));
        assertTrue(shown.size() > 10 && shown.size() < documents.size());
        assertEquals(shown, new HashSet<>(ids(rescored(query))));
        shown.retainAll(documents.keySet());
        assertEquals(shown, new HashSet<>(ids(query(query))));

        hideDocuments = false;
        hideField = true;
        assertEquals(List.of(), ids(query(query)));
        assertTrue(rescored(query).getHits().length > 40);
        for (var hit : rescored(query).getHits()) {
            assertEquals(0f, hit.getScore(), 0f);
        }
        hideField = false;
    }
}
