"""``vetime convert``: the authors' weights as a weights folder."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Turn a state dict under the authors' names into a weights folder that --weights accepts. The sizes are read
off the tensors' shapes; the numbers of heads come from the file's metadata, else they are the paper's. A
.pth file is read without running any code in it. The decoder of the masked autoencoder is dropped, since
scoring never uses it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``vetime convert``."""
    parser.description = DESCRIPTION
    parser.add_argument("official", metavar="OFFICIAL", help="the authors' .pth, .pt or .safetensors file")
    parser.add_argument("out_dir", metavar="OUT_DIR", help="the folder to write; made if it does not exist")
    parser.add_argument("--heads", type=int, metavar="N", help="attention heads of all parts but the image's")
    parser.add_argument("--vision-heads", type=int, metavar="N", help="attention heads of the image encoder")
    parser.add_argument("--decoder-heads", type=int, metavar="N", help="attention heads of the image decoder")
    parser.add_argument("--keep-decoder", action="store_true", help="keep the decoder, to pretrain further")


def run(args: argparse.Namespace) -> int:
    """Convert the file that the arguments name."""
    from vetime_plugins.network.conversion import convert_official

    folder = convert_official(
        args.official,
        args.out_dir,
        heads=args.heads,
        vision_heads=args.vision_heads,
        decoder_heads=args.decoder_heads,
        keep_decoder=args.keep_decoder,
    )
    print(f"weights: {folder}")
    return 0
