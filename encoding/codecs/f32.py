"""`f32`: the vectors as they are. 4 bytes a dimension, no error."""

from opensearch_multivector.encoding.codecs.base import FloatCodec

F32 = FloatCodec("f32", codec_id=1, dtype="<f4")
