import pytest
import torch

from psfr_core.batch_size import default_batch_size, in_batches


@pytest.mark.parametrize(
    ("free_gib", "reserved_gib", "allocated_gib", "faces"),
    [(0.3, 0, 0, 1), (1.5, 0, 0, 1), (3.2, 0, 0, 3), (70, 0, 0, 8), (0.3, 6.0, 1.2, 5), (3.2, 4.0, 4.0, 3)],
)
def test_default_on_gpus_depends_on_free_memory(
    monkeypatch: pytest.MonkeyPatch, free_gib: float, reserved_gib: float, allocated_gib: float, faces: int
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(free_gib * 2**30), 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: int(reserved_gib * 2**30))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: int(allocated_gib * 2**30))
    assert default_batch_size(torch.device("cuda", 0)) == faces


def test_other_devices_have_fixed_defaults() -> None:
    assert default_batch_size(torch.device("cpu")) == 1
    assert default_batch_size(torch.device("mps")) == 4


def doubled(items: torch.Tensor, fits: int, calls: list[int]):
    """Return a function that doubles a slice of ``items``, and runs out of memory for more than ``fits`` items."""

    def work(batch: slice) -> torch.Tensor:
        calls.append(len(items[batch]))
        if calls[-1] > fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return items[batch] * 2

    return work


@pytest.mark.parametrize(("fits", "sizes"), [(8, [7]), (3, [7, 3, 3, 1]), (1, [7, 3, 1, 1, 1, 1, 1, 1, 1])])
def test_batches_that_do_not_fit_are_halved(fits: int, sizes: list[int]) -> None:
    items, calls, done = torch.arange(7), list[int](), list[int]()
    result = in_batches(doubled(items, fits, calls), 7, 8, halve=True, progress=lambda count, _: done.append(count))
    assert torch.equal(result, items * 2)
    assert calls == sizes
    assert (done == sorted({*done}), done[-1]) == (True, 7)


@pytest.mark.parametrize(("fits", "halve"), [(0, True), (3, False)])
def test_one_item_or_a_chosen_size_that_does_not_fit_raises(fits: int, halve: bool) -> None:
    with pytest.raises(RuntimeError, match="out of memory"):
        in_batches(doubled(torch.arange(7), fits, []), 7, 4, halve=halve)
