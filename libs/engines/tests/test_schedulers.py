"""Each lane's sampler has the grid its model was distilled on, and lands on the clean latents when the model is ideal."""

import pytest

torch = pytest.importorskip("torch", reason="needs the lane environment")

from warmlane_contracts.catalogue import Model, load_catalogue
from warmlane_engines.schedulers import RfAncestral, make_sampler

MODELS = load_catalogue().models
GRIDS = {
    "anisora": [0.9997, 0.9722, 0.9374, 0.8929, 0.8331, 0.7498, 0.6251, 0.4174, 0.0],
    "phr00t": [1.0, 0.974, 0.8893, 0.6324, 0.0],
}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_ideal_denoiser_lands_on_the_clean_latents(model: Model) -> None:
    sampler = make_sampler(model.runtime)
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(1, 16, 3, 8, 8, generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    if isinstance(sampler, RfAncestral):
        sampler.bind(generator)
    sampler.set_timesteps(model.runtime.steps)
    latents = noise
    for index, timestep in enumerate(sampler.timesteps):
        velocity = (latents - clean) / sampler.sigmas[index]
        latents = sampler.step(velocity, timestep, latents, return_dict=False)[0]
        assert torch.allclose(sampler.predicted, clean, atol=1e-4)
    assert len(sampler.timesteps) == model.runtime.steps
    assert torch.allclose(latents, clean, atol=1e-4)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_grid_is_the_models_own(model: Model) -> None:
    sampler = make_sampler(model.runtime)
    sampler.set_timesteps(model.runtime.steps)
    assert [float(sigma) for sigma in sampler.sigmas] == pytest.approx(GRIDS[model.id], abs=2e-3)


def test_the_ancestral_noise_follows_the_bound_generator() -> None:
    def one_step(seed: int) -> torch.Tensor:
        sampler = make_sampler(MODELS[1].runtime)
        sampler.bind(torch.Generator().manual_seed(seed))
        sampler.set_timesteps(4)
        latents = torch.ones(1, 16, 1, 4, 4)
        return sampler.step(latents * 0.5, sampler.timesteps[0], latents, return_dict=False)[0]

    assert torch.equal(one_step(1), one_step(1))
    assert not torch.equal(one_step(1), one_step(2))


def test_the_table_is_for_its_own_number_of_steps_only() -> None:
    with pytest.raises(ValueError, match="4 steps"):
        make_sampler(MODELS[1].runtime).set_timesteps(5)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_sampler_that_forgot_holds_no_tensor(model: Model) -> None:
    sampler = make_sampler(model.runtime)
    sampler.set_timesteps(model.runtime.steps)
    latents = torch.ones(1, 16, 1, 4, 4)
    sampler.step(latents * 0.5, sampler.timesteps[0], latents, return_dict=False)
    assert sampler.predicted is not None
    sampler.forget()
    assert sampler.predicted is None
