package osmv.query;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.store.Directory;
import org.opensearch.core.index.shard.ShardId;
import org.opensearch.index.mapper.IdFieldMapper;
import org.opensearch.index.mapper.Uid;
import org.opensearch.test.MockLogAppender;
import org.opensearch.test.MockLogAppender.PatternSeenEventExpectation;
import org.opensearch.test.MockLogAppender.UnseenEventExpectation;
import org.opensearch.test.OpenSearchTestCase;

/** Which documents the log names, and how often. */
public final class DamageLogTests extends OpenSearchTestCase {
    public void testNamesTheFirstAndIsSilentForAWhile() throws Exception {
        try (Directory directory = newDirectory()) {
            try (IndexWriter writer = new IndexWriter(directory, newIndexWriterConfig())) {
                Document document = new Document();
                document.add(new StoredField(IdFieldMapper.NAME, Uid.encodeId("first")));
                writer.addDocument(document);
            }
            try (
                DirectoryReader reader = DirectoryReader.open(directory);
                MockLogAppender log = MockLogAppender.createForLoggers(LogManager.getLogger(DamageLog.class))
            ) {
                LeafReaderContext leaf = reader.leaves().get(0);
                String logger = DamageLog.class.getName();
                String warning = "\\[i\\]\\[3\\]: document \\[first\\] is left out .* field \\[mv\\] is damaged \\(a reason\\).*";
                log.addExpectation(new PatternSeenEventExpectation("named", logger, Level.WARN, warning));
                log.addExpectation(new UnseenEventExpectation("silent", logger, Level.WARN, "*another*"));
                DamageLog damage = new DamageLog();
                damage.report(new ShardId("i", "uuid", 3), leaf, "mv", 0, "a reason");
                damage.report(new ShardId("i", "uuid", 3), leaf, "mv", 0, "another");
                log.assertAllExpectationsMatched();
            }
        }
    }
}
