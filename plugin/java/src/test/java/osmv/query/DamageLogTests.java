package osmv.query;

import java.util.ArrayList;
import java.util.List;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.store.Directory;
import org.opensearch.common.logging.Loggers;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.mapper.IdFieldMapper;
import org.opensearch.index.mapper.Uid;
import org.opensearch.test.OpenSearchTestCase;

/** Which documents the log names, and how often. */
public final class DamageLogTests extends OpenSearchTestCase {
    /** Keeps what is logged. */
    private static final class Lines extends AbstractAppender {
        private final List<String> lines = new ArrayList<>();

        Lines() {
            super("lines", null, null, false, Property.EMPTY_ARRAY);
        }

        @Override
        public void append(LogEvent event) {
            lines.add(event.getMessage().getFormattedMessage());
        }
    }

    public void testNamesTheFirstAndIsSilentForAWhile() throws Exception {
        Lines log = new Lines();
        log.start();
        Logger logger = LogManager.getLogger(DamageLog.class);
        Loggers.addAppender(logger, log);
        try (Directory directory = newDirectory()) {
            try (IndexWriter writer = new IndexWriter(directory, newIndexWriterConfig())) {
                Document document = new Document();
                document.add(new StoredField(IdFieldMapper.NAME, Uid.encodeId("first")));
                writer.addDocument(document);
            }
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                LeafReaderContext leaf = reader.leaves().get(0);
                DamageLog damage = new DamageLog();
                damage.report(new ShardId("i", "uuid", 3), leaf, "mv", 0, "a reason");
                damage.report(new ShardId("i", "uuid", 3), leaf, "mv", 0, "another");
            }
        } finally {
            Loggers.removeAppender(logger, log);
            log.stop();
        }
        assertEquals(log.lines.toString(), 1, log.lines.size());
        String line = "[i][3]: document [first] is left out of maxsim, its field [mv] is damaged (a reason)";
        assertTrue(log.lines.get(0), log.lines.get(0).startsWith(line));
    }
}
