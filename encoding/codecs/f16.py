"""`f16`: IEEE half precision. 2 bytes a dimension; relative error at most 2**-11 (absolute 2**-25 under 2**-14)."""

from opensearch_multivector.encoding.codecs.base import FloatCodec

F16 = FloatCodec("f16", codec_id=2, dtype="<f2")
