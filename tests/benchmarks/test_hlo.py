"""How a compiled program is read: lines as XLA writes them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import hlo
from hlo import Collective

STEP = """HloModule jit_step
%condition.1 (arg: (s32[], bf16[8,64])) -> pred[] {
  %constant.1 = s32[]{:T(128)} constant(12)
  ROOT %compare.1 = pred[] compare(%get-tuple-element.1, %constant.1), direction=LT
}
%body.1 (arg: (s32[], bf16[8,64])) -> (s32[], bf16[8,64]) {
  %all-reduce.1 = (bf16[1,16,64]{2,1,0}, f32[64]{0}) all-reduce(%a, %b), channel_id=1, metadata={op_name="jit(step)/transpose(jvp())/dot_general"}
}
ENTRY %main.2 (ids: s32[8,64]) -> f32[] {
  %all-reduce.2 = (f32[]{:T(128)S(6)}, s32[]{:T(128)}) all-reduce(%c, %d), channel_id=2, metadata={op_name="jit(step)/jvp()/reduce_sum"}
  %all-gather.1 = bf16[1024,1024]{1,0:T(8,128)} all-gather(%param_0.16), dimensions={0}, metadata={op_name="jit(step)/sharding_constraint"}
  %all-gather-start.2 = (f32[4,8]{1,0}, f32[16,8]{1,0}) all-gather-start(%copy.3), metadata={op_name="jit(step)/sharding_constraint"}
  %all-gather-done.2 = f32[16,8]{1,0} all-gather-done(%all-gather-start.2)
  %all-gather.3 = s32[4096]{0} all-gather(%ids), channel_id=3, metadata={op_name="jit(step)/transpose(jvp(jit(_take)))/scatter-add"}
  %all-gather.5 = bf16[64]{0} all-gather(%p.1), channel_id=9, metadata={op_name="jit(step)/scatter-add"}
  %all-gather.6 = bf16[64]{0} all-gather(%p.2), channel_id=9, metadata={op_name="jit(step)/scatter-add"}
  %while.1 = (s32[], bf16[8,64]) while(%tuple.1), condition=%condition.1, body=%body.1
}
"""

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
    assert hlo.copied_in_loops(LOOP, {cache}) == 1
    assert hlo.copied_in_loops(LOOP, {cache // 61 * 16}) == 0


def test_products_are_told_by_types_and_precision():
    assert hlo.products(LOWERED) == {hlo.PRODUCTS["bfloat16"], hlo.PRODUCTS["float32"]}


def test_what_chips_exchange_is_told_by_who_asks_how_much_and_how_often():
    """One in parts counts once, what is no floating-point number not at all, and a loop's as often as it runs."""
    assert sorted(hlo.collectives(STEP), key=str) == sorted(
        [
            Collective("all-reduce", 16 * 64 + 64, 12, "dot_general"),
            Collective("all-reduce", 1, 1, "reduce_sum"),
            Collective("all-gather", 1024 * 1024, 1, "sharding_constraint"),
            Collective("all-gather", 16 * 8, 1, "sharding_constraint"),
            Collective("all-gather", 64, 1, "scatter-add"),
        ],
        key=str,
    )


def test_inner_loops_run_in_each_round_of_the_outer():
    inner = STEP.replace(
        "%all-reduce.1 =", "%while.2 = (s32[]) while(%t), condition=%condition.1, body=%body.2\n  %all-reduce.1 ="
    )
    inner = inner.replace("ENTRY", "%body.2 (arg: (s32[])) -> (s32[]) {\n}\nENTRY")
    assert hlo.times_run(inner) == {"ENTRY": 1, "%body.1": 12, "%body.2": 144}


CUDA = """HloModule jit_search
%body.1 (arg: (s32[], bf16[8,64])) -> (s32[], bf16[8,64]) {
  %arg.1 = (s32[], bf16[8,64]{1,0}) parameter(0)
  %get-tuple-element.1 = bf16[8,64]{1,0} get-tuple-element(%arg.1), index=1
  %fusion.1 = (f32[8], f32[8,64]{1,0}) fusion(%get-tuple-element.1), kind=kLoop, calls=%fused.1
  ROOT %tuple.2 = (s32[], bf16[8,64]{1,0}) tuple(%fusion.1)
}
%body.2 (arg: (s32[], bf16[8,64])) -> (s32[], bf16[8,64]) {
  %copy.1 = bf16[8,64]{1,0} copy(%get-tuple-element.1)
  %custom-call.1 = (f32[8], s8[4]) custom-call(%a), custom_call_target="__cublas$gemm", backend_config={"operand_precision":["HIGHEST","HIGHEST"]}
  %bitcast.1 = bf16[512]{0} bitcast(%copy.1)
  %while.1 = (s32[], bf16[8,64]{1,0}) while(%tuple.1), condition=%condition.1, body=%body.1, backend_config={"known_trip_count":{"n":"60"}}
}
ENTRY %main.3 (ids: s32[8,64]) -> s32[8,64] {
  %while.3 = (s32[], bf16[8,64]{1,0}) while(%tuple.3), condition=%condition.1, body=%body.1, backend_config={"known_trip_count":{"n":"12"}}
  %while.2 = (s32[], bf16[8,64]{1,0}) while(%tuple.2), condition=%condition.2, body=%body.2
}
%condition.1 (arg: (s32[])) -> pred[] {
}
%condition.2 (arg: (s32[])) -> pred[] {
}
"""


def test_kernels_of_a_step_are_counted_with_those_of_its_inner_loop():
    """A copy, a product, and sixty times one fusion; the encoder's loop of twelve layers is no step."""
    encoder = 'body=%body.1, backend_config={"known_trip_count":{"n":"12"}}'
    twice = CUDA.replace(encoder, encoder.replace("%body.1", "%body.4")) + "%body.4 (arg: (s32[])) -> (s32[]) {\n}\n"
    assert hlo.launches(twice) == [2 + 60]


def test_a_float32_product_in_less_than_float32_is_seen():
    exact = "  %dot.1 = f32[8,8]{1,0} dot(%a, %b), operand_precision={highest,highest}\n"
    assert hlo.less_than_highest(exact + CUDA) == 0
    assert hlo.less_than_highest(exact.replace("highest,highest", "high,high") + CUDA) == 1
    assert hlo.less_than_highest(exact + CUDA.replace('"HIGHEST"', '"DEFAULT"')) == 1


def test_sorts_of_numbers_are_told_by_their_length_and_those_of_places_are_none():
    text = """
  %sort.1 = (f32[8,60,2514]{2,1,0:T(8,128)}, s32[8,60,2514]{2,1,0}) sort(%a, %b), dimensions={2}
  %sort.2 = bf16[50265]{0} sort(%c), dimensions={0}
  %sort.3 = (s32[65536]{0:T(1024)}, s32[65536]{0}) sort(%d, %e), dimensions={0}
"""
    assert hlo.sorted_widths(text) == [2514, 50265]
