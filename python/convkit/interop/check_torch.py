"""Whether a PyTorch module computes what its class says, and nothing besides.

A module is read by its class and its attributes. That is right only where nothing changes the
computation behind them: a subclass, a hook, a method replaced on the object, a parametrization.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..core.packages import package

if TYPE_CHECKING:
    import torch

# What a call of an nn.Sequential goes through; a subclass that leaves these alone is one.
_OF_A_CALL = (
    *("__call__", "_wrapped_call_impl", "_call_impl", "_slow_forward", "forward"),
    *("__iter__", "__getattr__"),
)


def module_error(module: Any, name: str, message: str) -> ValueError:
    """A ValueError that names a module by its place in the network."""
    return ValueError(f"{described(module, name)}: {message}")


def described(module: Any, name: str) -> str:
    """A module for errors: where it stands and what it says of itself."""
    lines = str(module).splitlines()
    return f'module "{name}" ({lines[0]}{" ... )" if len(lines) > 1 else ""})'


def needs_trace(module: torch.nn.Module) -> bool:
    """Whether a module, or one in it, has modules of its own and computes as it likes with them."""
    nn = package("torch").nn
    if not isinstance(module, nn.Sequential):
        return True
    seen: set[int] = set()
    waiting: list[Any] = [module]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or not isinstance(part, nn.Module):
            continue
        seen.add(id(part))
        children = [each for each in part._modules.values() if each is not None]
        if not isinstance(part, nn.Sequential):
            if children and not nn.utils.parametrize.is_parametrized(part):
                return True
        elif any(getattr(type(part), n) is not getattr(nn.Sequential, n) for n in _OF_A_CALL):
            return True
        else:
            waiting += children
    return False


def leaves(network: torch.nn.Sequential) -> Iterator[tuple[str, Any]]:
    """The modules in the order in which they compute, with their paths, each as often as it does.

    Raises:
        ValueError: something changes what a module computes, or two share their weights.
    """
    nn = package("torch").nn
    hooks = nn.modules.module
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        raise ValueError(
            "hooks are registered for all modules of the process, which may change what they "
            "compute; remove them first"
        )
    places: dict[int, str] = {}
    for path, part in _leaves(network, "", (id(network),)):
        _check_sharing(part, path, places)
        yield path, part


def _leaves(sequential: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    nn = package("torch").nn
    _check(sequential, path)
    # `named_children` would leave out what stands here for the second time.
    for name, part in sequential._modules.items():
        where = f"{path}.{name}" if path else name
        if not isinstance(part, nn.Sequential):
            _check(part, where)
            yield where, part
        elif id(part) in above:
            raise ValueError(f'module "{where}" contains itself')
        else:
            yield from _leaves(part, where, (*above, id(part)))


def _check(module: Any, path: str) -> None:
    """ValueError if something about this one object changes what its class computes."""
    torch = package("torch")
    if not isinstance(module, torch.nn.Module):
        raise ValueError(f'module "{path}" is {module!r}, which computes nothing')
    if isinstance(module, torch.nn.modules.lazy.LazyModuleMixin):
        raise module_error(
            module, path, "it is lazy, without weights as yet; run the network once before"
        )
    if torch.nn.utils.parametrize.is_parametrized(module):
        names = ", ".join(module.parametrizations)
        raise module_error(
            module,
            path,
            f"its {names} is computed by a parametrization; write it out first with "
            f"torch.nn.utils.parametrize.remove_parametrizations",
        )
    if module._forward_pre_hooks or module._forward_hooks:
        hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
        names = ", ".join(getattr(each, "__name__", type(each).__name__) for each in hooks)
        raise module_error(
            module,
            path,
            f"it has hooks ({names}), which may change what it computes; remove them first: with "
            f"the handle that registered them, or torch.nn.utils.remove_weight_norm, "
            f"remove_spectral_norm or prune.remove where they are of these",
        )
    replaced = [
        name for name in vars(module) if inspect.isroutine(getattr(type(module), name, None))
    ]
    if replaced:
        raise module_error(
            module,
            path,
            f"the object has its own {', '.join(replaced)} in place of the class's, so that it may "
            f"compute anything; delete that first",
        )


def _check_sharing(module: Any, path: str, places: dict[int, str]) -> None:
    """ValueError if a tensor of the module stands elsewhere, too; `places` says which did."""
    for name, tensor in _tensors(module):
        # An object, or the memory of another one.
        keys = {id(tensor), *([] if tensor.is_meta else [_address(tensor)])} - {0}
        other = next((places[key] for key in keys if key in places), None)
        if other is not None:
            raise module_error(
                module,
                path,
                f'its {name} is that of module "{other}" as well, and convkit has no layers that '
                f"share weights; use copy.deepcopy(module) for one of them, and they are trained "
                f"apart from then on",
            )
        places.update(dict.fromkeys(keys, path))


def _address(tensor: Any) -> int:
    """Where a tensor's values lie; 0 where it has none of its own."""
    try:
        return -int(tensor.data_ptr()) if tensor.numel() else 0
    except (RuntimeError, ValueError):  # not initialized, or of a kind without memory
        return 0


def _tensors(module: Any) -> Sequence[tuple[str, Any]]:
    named = (*module._parameters.items(), *module._buffers.items())
    return [(name, tensor) for name, tensor in named if tensor is not None]
