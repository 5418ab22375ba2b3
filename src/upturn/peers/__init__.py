"""DSPy's own optimizers under our roof: metered, cached, capped, re-scored, gated like ours."""

from upturn.peers.base import Ground, Peer, PeerRules
from upturn.peers.bootstrap_random_search import BootstrapRandomSearchPeer
from upturn.peers.copro import CoproPeer
from upturn.peers.gepa import GepaPeer
from upturn.peers.mipro import MiproPeer
from upturn.peers.run import run_peer
from upturn.peers.simba import SimbaPeer

#: The word in a config -> the optimizer.
PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (MiproPeer(), GepaPeer(), SimbaPeer(), BootstrapRandomSearchPeer(), CoproPeer())
}

__all__ = ["PEERS", "Ground", "Peer", "PeerRules", "run_peer"]
