"""How a compiled program is read: lines as XLA writes them for a step whose parameters lie in pieces."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import tpu

TEXT = """
  %all-gather.1 = bf16[1024,1024]{1,0:T(8,128)} all-gather(%param_0.16), dimensions={0}, metadata={op_name="jit(step)/sharding_constraint"}
  %all-gather-start.2 = (f32[4,8]{1,0}, f32[16,8]{1,0}) all-gather-start(%copy.3), metadata={op_name="jit(step)/sharding_constraint"}
  %all-gather.3 = s32[4096]{0} all-gather(%ids), channel_id=3, metadata={op_name="jit(step)/transpose(jvp(jit(_take)))/scatter-add"}
  %all-gather-done.2 = f32[16,8]{1,0} all-gather-done(%all-gather-start.2)
"""
MOMENTS = '  %all-gather.4 = f32[256]{0} all-gather(%mu), channel_id=4, metadata={op_name="jit(step)/mul"}\n'

LOOP = """HloModule jit_search
%body.1 (arg: (bf16[8,60,16,61,64])) -> (bf16[8,60,16,61,64]) {
  %copy.1 = bf16[8,60,16,61,64]{4,3,2,1,0:T(8,128)(2,1)} copy(%get-tuple-element.1)
  %copy.2 = bf16[8,60,16,61,64]{4,3,2,1,0:T(8,128)(2,1)S(1)} copy(%get-tuple-element.2)
  %copy.3 = bf16[8,60,1024]{2,1,0:T(8,128)(2,1)} copy(%get-tuple-element.3)
}
ENTRY %main.2 (ids: s32[8,64]) -> s32[8,64] {
  %copy.4 = bf16[8,60,16,61,64]{4,3,2,1,0:T(8,128)(2,1)} copy(%broadcast.1)
  %while.1 = (bf16[8,60,16,61,64]) while(%tuple.1), condition=%condition.1, body=%body.1
}
"""
LOWERED = """
  %3 = stablehlo.dot_general %1, %2, precision = [DEFAULT, DEFAULT] : (tensor<8x4xbf16>, tensor<4x2xbf16>) -> tensor<8x2xf32>
  %4 = stablehlo.dot_general %3, %2, precision = [HIGHEST, HIGHEST] : (tensor<8x2xf32>, tensor<2x2xf32>) -> tensor<8x2xf32>
"""


def test_a_cache_that_is_copied_in_main_memory_at_every_step_is_seen():
    cache = 8 * 60 * 16 * 61 * 64
    assert tpu.copied_in_loops(LOOP, {cache}) == 1
    assert tpu.copied_in_loops(LOOP, {cache // 61 * 16}) == 0


def test_products_are_told_by_types_and_precision():
    assert tpu.products(LOWERED) == {tpu.PRODUCTS["bfloat16"], tpu.PRODUCTS["float32"]}


PARTS = """
  %all-gather.5 = bf16[64]{0} all-gather(%p.1), channel_id=9, metadata={op_name="jit(step)/scatter-add"}
  %all-gather.6 = bf16[64]{0} all-gather(%p.2), channel_id=9, metadata={op_name="jit(step)/scatter-add"}
"""


def test_a_gathering_in_parts_counts_once():
    assert tpu.gathered(PARTS) == {"scatter-add": 64}


def test_what_is_gathered_is_told_by_who_asks_for_it():
    assert tpu.gathered(TEXT) == {tpu.PARAMETERS: 1024 * 1024 + 16 * 8}
    assert tpu.gathered(TEXT + MOMENTS) == {tpu.PARAMETERS: 1024 * 1024 + 16 * 8, "mul": 256}
