"""TRL's trainers take every release as it is: one step of a tiny random model."""

from __future__ import annotations

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, LlamaForSequenceClassification
from trl import (
    DPOConfig,
    DPOTrainer,
    GRPOConfig,
    GRPOTrainer,
    KTOConfig,
    KTOTrainer,
    RewardConfig,
    RewardTrainer,
    SFTConfig,
    SFTTrainer,
)
from trl.chat_template_utils import qwen3_training_chat_template

from tests.trl.loading import tokenizer, train

TOKENIZER = tokenizer()
TOKENIZER.chat_template = qwen3_training_chat_template
TINY = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1, "num_labels": 1}
COMMON = {"per_device_train_batch_size": 4, "max_steps": 1, "report_to": "none", "use_cpu": True,
          "bf16": False, "save_strategy": "no", "disable_tqdm": True}  # fmt: skip


def model(kind=LlamaForCausalLM):
    pad = TOKENIZER.pad_token_id
    return kind(LlamaConfig(vocab_size=len(TOKENIZER), pad_token_id=pad, **TINY, **HEADS))


def one_step(trainer) -> None:
    assert trainer.train().global_step == 1


@pytest.mark.parametrize(
    "case",
    ["messages", "prompt_completion", "text", "tools", "tools_completion",
     "tools_distilled", "tools_used",
     *(f"reasoning_{form}" for form in ("field", "thinking", "inline", "drop"))],
)  # fmt: skip
def test_sft(case, tmp_path):
    config = SFTConfig(output_dir=str(tmp_path), **COMMON)
    one_step(SFTTrainer(model(), config, train_dataset=train(case), processing_class=TOKENIZER))


def test_sft_on_the_answer_only(tmp_path):
    config = SFTConfig(output_dir=str(tmp_path), assistant_only_loss=True, **COMMON)
    data = train("tools")
    one_step(SFTTrainer(model(), config, train_dataset=data, processing_class=TOKENIZER))


def test_dpo(tmp_path):
    config = DPOConfig(output_dir=str(tmp_path), **COMMON)
    data = train("preference")
    one_step(DPOTrainer(model(), model(), config, train_dataset=data, processing_class=TOKENIZER))


def test_reward(tmp_path):
    config = RewardConfig(output_dir=str(tmp_path), **COMMON)
    judge = model(LlamaForSequenceClassification)
    data = train("preference")
    one_step(RewardTrainer(judge, config, train_dataset=data, processing_class=TOKENIZER))


def test_kto(tmp_path):
    config = KTOConfig(output_dir=str(tmp_path), **COMMON)
    data = train("unpaired")
    one_step(KTOTrainer(model(), model(), config, train_dataset=data, processing_class=TOKENIZER))


def test_grpo_whose_reward_reads_the_solution(tmp_path):
    seen = []

    def reward(completions, solution, **_others):
        seen.extend(solution)
        return [float(gold in turns[0]["content"])
                for turns, gold in zip(completions, solution, strict=True)]  # fmt: skip

    config = GRPOConfig(
        output_dir=str(tmp_path), num_generations=2, max_completion_length=4, **COMMON
    )
    data = train("prompt")
    one_step(GRPOTrainer(model(), reward, config, train_dataset=data, processing_class=TOKENIZER))
    assert seen
    assert set(seen) <= set(data["solution"])
