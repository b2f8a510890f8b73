package osmv.query;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.lucene.codecs.Codec;
import org.apache.lucene.codecs.DocValuesProducer;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.FieldInfo;
import org.apache.lucene.index.FieldInfos;
import org.apache.lucene.index.FilterLeafReader;
import org.apache.lucene.index.IndexReader;
import org.apache.lucene.index.LeafReader;
import org.apache.lucene.index.SegmentCommitInfo;
import org.apache.lucene.index.SegmentReadState;
import org.apache.lucene.index.SegmentReader;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FilterDirectory;
import org.apache.lucene.store.FilterIndexInput;
import org.apache.lucene.store.IOContext;
import org.apache.lucene.store.IndexInput;
import org.apache.lucene.store.RandomAccessInput;
import org.apache.lucene.util.IOUtils;

/**
 * Tells the operating system which documents' values are about to be read, so that it fetches them from the disk while others
 * are scored (as ESPN does, Shrestha et al. 2023, section 4).
 *
 * <p>Lucene's doc values don't say where on the disk a value is. So a segment's doc values are opened once more, over files
 * whose bulk reads do not read but prefetch: to ask these for a document's value is to have it prefetched. Values that are in
 * memory already cost next to nothing, Lucene sees to that.
 */
final class Prefetch {
    private static final Logger logger = LogManager.getLogger(Prefetch.class);
    private static final Map<IndexReader.CacheKey, Optional<Opened>> OPENED = new ConcurrentHashMap<>();

    /** Nothing to prefetch, or nothing known of it. */
    private static final Prefetch NONE = new Prefetch(null);

    private final BinaryDocValues values;

    private Prefetch(BinaryDocValues values) {
        this.values = values;
    }

    /** For a field of a leaf; one that does nothing where the leaf's files can't be reached. For one thread. */
    static Prefetch of(LeafReader leaf, String field) {
        if (FilterLeafReader.unwrap(leaf) instanceof SegmentReader segment && segment.getCoreCacheHelper() != null) {
            FieldInfo info = segment.getFieldInfos().fieldInfo(field);
            // Values that were updated in place lie in files of their own.
            if (info != null && info.getDocValuesGen() == -1) {
                Optional<Opened> opened = OPENED.computeIfAbsent(segment.getCoreCacheHelper().getKey(), key -> open(segment));
                if (opened.isPresent()) {
                    try {
                        return new Prefetch(opened.get().values.getBinary(info));
                    } catch (IOException | RuntimeException e) {
                        logger.debug("can't prefetch {}", field, e);
                    }
                }
            }
        }
        return NONE;
    }

    /** Documents in rising order. */
    void prefetch(int doc) throws IOException {
        if (values != null && values.advanceExact(doc)) {
            values.binaryValue();
        }
    }

    private static Optional<Opened> open(SegmentReader segment) {
        SegmentCommitInfo info = segment.getSegmentInfo();
        Codec codec = info.info.getCodec();
        Directory compound = null;
        try {
            compound = info.info.getUseCompoundFile() ? codec.compoundFormat().getCompoundReader(info.info.dir, info.info) : null;
            Directory files = compound == null ? segment.directory() : compound;
            FieldInfos fields = codec.fieldInfosFormat().read(files, info.info, "", IOContext.READONCE);
            DocValuesProducer values = codec.docValuesFormat()
                .fieldsProducer(new SegmentReadState(new PrefetchingDirectory(files), info.info, fields, IOContext.DEFAULT));
            Opened opened = new Opened(values, compound);
            segment.getCoreCacheHelper().addClosedListener(key -> {
                OPENED.remove(key);
                IOUtils.close(opened.values, opened.compound);
            });
            return Optional.of(opened);
        } catch (IOException | RuntimeException e) {
            logger.debug("can't prefetch from {}", segment, e);
            IOUtils.closeWhileHandlingException(compound);
            return Optional.empty();
        }
    }

    private record Opened(DocValuesProducer values, Directory compound) {}

    private static final class PrefetchingDirectory extends FilterDirectory {
        PrefetchingDirectory(Directory in) {
            super(in);
        }

        @Override
        public IndexInput openInput(String name, IOContext context) throws IOException {
            return new PrefetchingInput(name, in.openInput(name, context));
        }
    }

    /** Reads as it is told, but for slices for random access: where values are. */
    private static final class PrefetchingInput extends FilterIndexInput {
        PrefetchingInput(String name, IndexInput in) {
            super(name, in);
        }

        @Override
        public RandomAccessInput randomAccessSlice(long offset, long length) throws IOException {
            return new PrefetchingSlice(in.randomAccessSlice(offset, length));
        }
    }

    /** Single numbers are addresses, and are read; many bytes are a value, and are not. */
    private record PrefetchingSlice(RandomAccessInput in) implements RandomAccessInput {
        @Override
        public void readBytes(long position, byte[] bytes, int offset, int length) throws IOException {
            if (length > 0) {
                in.prefetch(position, length);
            }
        }

        @Override
        public long length() {
            return in.length();
        }

        @Override
        public byte readByte(long position) throws IOException {
            return in.readByte(position);
        }

        @Override
        public short readShort(long position) throws IOException {
            return in.readShort(position);
        }

        @Override
        public int readInt(long position) throws IOException {
            return in.readInt(position);
        }

        @Override
        public long readLong(long position) throws IOException {
            return in.readLong(position);
        }

        @Override
        public void prefetch(long offset, long length) throws IOException {
            in.prefetch(offset, length);
        }
    }
}
