"""Many pictures on one sheet: the references along the top, the inputs down the side, each result where they meet."""

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont, ImageOps

LABEL, GAP = 14, 4  # px, the height of a line of text, and between pictures
SIDES = (32, 128)  # px, the smallest and the largest picture
WIDEST = 6000  # px, of a sheet, as long as its pictures do not fall below the smallest


def side_of(rows: int, columns: int) -> int:
    """How large the pictures of a sheet are, in pixels: the smaller, the more there are."""
    return max(SIDES[0], min(SIDES[1], WIDEST // (max(rows, columns) + 1)))


def contact_sheet(
    rows: Mapping[str, Image.Image], columns: Mapping[str, Image.Image], results: Mapping[tuple[str, str], Image.Image]
) -> Image.Image:
    """A labelled table of pictures on white, RGB. rows, columns: name to picture; results: of a row's and a column's.

    Pictures of any size are fitted into squares (`side_of`), names that are longer than a square cut in their middle.
    """
    side, font = side_of(len(rows), len(columns)), ImageFont.load_default(LABEL - 3)
    width, height = side + GAP, side + GAP + LABEL
    sheet = Image.new("RGB", (width * (len(columns) + 1), height * (len(rows) + 1)), "white")
    pen = ImageDraw.Draw(sheet)
    places = {(i, j): (row, column) for i, row in enumerate(rows, 1) for j, column in enumerate(columns, 1)}
    shown = {(0, j): (name, picture) for j, (name, picture) in enumerate(columns.items(), 1)}
    shown |= {(i, 0): (name, picture) for i, (name, picture) in enumerate(rows.items(), 1)}
    shown |= {place: ("", results[names]) for place, names in places.items()}
    for (i, j), (label, picture) in shown.items():
        left, top = j * width + GAP // 2, i * height + GAP // 2
        sheet.paste(ImageOps.pad(picture.convert("RGB"), (side, side), color="white"), (left, top + LABEL))
        pen.text((left, top), shortened(label, side, font), fill="black", font=font)
    return sheet


def shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, with as little as possible taken out of its middle that it is `width` pixels wide at most."""
    for kept in range(len(text), 0, -1):
        half = kept // 2
        short = text if kept == len(text) else f"{text[: kept - half]}…{text[len(text) - half :]}"
        if font.getlength(short) <= width:
            return short
    return ""
