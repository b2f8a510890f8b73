package osmv;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.env.Environment;
import org.opensearch.env.NodeEnvironment;
import org.opensearch.index.mapper.Mapper;
import org.opensearch.index.mapper.MetadataFieldMapper;
import org.opensearch.plugins.MapperPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.repositories.RepositoriesService;
import org.opensearch.script.ScriptService;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;
import org.opensearch.watcher.ResourceWatcherService;
import osmv.field.StoredSource;
import osmv.field.TokenVectorsFieldMapper;
import osmv.field.TokenVectorsFieldType;

/** Late interaction inside OpenSearch: what the plugin brings is registered here, and nothing else happens here. */
public final class MultiVectorPlugin extends Plugin implements MapperPlugin {
    private volatile int maxDocumentVectors = TokenVectorsFieldMapper.MAX_VECTORS.get(Settings.EMPTY);

    @Override
    public Collection<Object> createComponents(
        Client client,
        ClusterService clusterService,
        ThreadPool threadPool,
        ResourceWatcherService resourceWatcherService,
        ScriptService scriptService,
        NamedXContentRegistry xContentRegistry,
        Environment environment,
        NodeEnvironment nodeEnvironment,
        NamedWriteableRegistry namedWriteableRegistry,
        IndexNameExpressionResolver indexNameExpressionResolver,
        Supplier<RepositoriesService> repositoriesServiceSupplier
    ) {
        maxDocumentVectors = TokenVectorsFieldMapper.MAX_VECTORS.get(clusterService.getSettings());
        clusterService.getClusterSettings()
            .addSettingsUpdateConsumer(TokenVectorsFieldMapper.MAX_VECTORS, limit -> maxDocumentVectors = limit);
        return List.of();
    }

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(TokenVectorsFieldMapper.MAX_VECTORS);
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return Map.of(TokenVectorsFieldType.TYPE, TokenVectorsFieldMapper.parser(() -> maxDocumentVectors));
    }

    @Override
    public Map<String, MetadataFieldMapper.TypeParser> getMetadataMappers() {
        return Map.of(StoredSource.NAME, StoredSource.PARSER);
    }
}
