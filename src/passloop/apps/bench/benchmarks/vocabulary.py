"""Plain words for texts that are made here, so that no benchmark needs a file or a site. Data only."""

from __future__ import annotations

__all__ = ["ADJECTIVES", "NOUNS", "PLACES", "VERBS"]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


NOUNS = _words(
    """anchor apple arrow autumn badge bakery balcony barrel basket beacon bicycle blanket bottle bridge bucket button
    cabin camera candle canoe carpet castle cellar chain chalk chimney circle clock cloud coast coffee compass
    copper corner cotton cradle creek crystal curtain dancer desert diamond dinner doctor dolphin drawer driver
    eagle engine evening fabric falcon farmer feather fence field finger flame flower forest fountain galaxy
    garden gate glacier glove granite guitar hammer harbor harvest helmet hill honey horse island jacket jungle
    kettle kitchen ladder lake lamp lantern leaf lemon letter library lion lizard market marble meadow melody
    mirror monkey moon morning mountain museum needle nest notebook oak ocean office olive orange orchard oven
    owl paddle painter palace paper parcel path pebble pencil pepper piano picture pigeon pillow planet plate
    pocket pond poem pottery quarry queen rabbit railway rain raven ribbon river road robin rocket roof rope
    saddle sailor salmon salt sandal scarf school shadow shell shelf shoe shore singer sister sky sparrow spoon
    spring stable station statue stone storm story street summer sunset table teacher temple thread thunder
    ticket tiger timber tower train tree trumpet tulip tunnel turtle valley velvet village violin wagon walnut
    water whale wheat wheel whistle willow window winter wizard wolf wool yard zebra"""
)
ADJECTIVES = _words(
    """amber ancient bitter blue bold brave bright broken brown calm careful clean clever cold curious dark deep
    distant dry early empty faint fast frozen gentle golden grand gray green happy heavy hidden hollow honest
    huge humble idle kind late light little lively lonely long loud lucky modest narrow nearby new noble odd old
    orange pale patient plain polite proud purple quick quiet rare red rough round rusty sharp shy silent silver
    simple slow small smooth soft solid steady strange strong sunny sweet tall tender thin tidy tiny warm weary
    wide wild wise wooden yellow young"""
)
VERBS = _words(
    """admires answers avoids carries chases crosses faces finds follows greets guards guides hears helps holds joins
    keeps leads leaves likes lifts marks meets misses notices paints passes praises reaches remembers repairs
    rests_by sees shares sketches stands_by studies touches visits waits_for warns watches"""
)
PLACES = _words(
    """Aberwick Brandholm Caldera Dunmore Eastvale Fairhaven Glenrock Hollowmere Ivorytown Juniper Kestrel Larkspur
    Millbrook Northgate Oakhurst Pinecrest Quillford Ravenwood Silverton Thornbury Umberland Violetta Westmarch
    Yarrow Zephyr Ashford Birchmont Cedarville Driftwood Elmstead Foxglove Greywater Hawthorn Ironbridge
    Jasperhill Kingsley Lindenau Maplewood Nettleton Orchardton"""
)
