"""In which language a sentence is, told by its script and by its commonest words.

Enough to see that a prompt slid into another language, sentence by sentence, which detectors made
for whole documents do not: an added demand has a dozen words. What is in doubt is in no language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

from synth.generate.elimination.words import WORD, words

COMMON = {
    "en": "the a an and or of to in on at is are be was it that this with for from by as not you "
    "your i we they he she what which who how why when if but can do does have has will would "
    "should must each any no one there its their my me than then about into only her "
    "his him our us them were had been more much many did some such whose after before where so",
    "de": "der die das den dem des ein eine einen einem einer und oder nicht ist sind war es sie "
    "er ich wir ihr du zu zum zur im in am an auf aus bei mit nach von vom für über unter wie was "
    "wer wann warum wenn dass als auch nur noch man kann soll muss bitte so sich jede jeder jedes",
    "fr": "le la les un une des du de et ou ne pas est sont ce cette ces il elle on nous vous je "
    "tu que qui quoi dont dans sur sous avec sans pour par en au aux plus comme quand pourquoi "
    "comment si mais se sa son ses leur chaque tout toute d'un d'une qu'il c'est deux",
    "es": "el la los las un una unos unas de del y o no es son que en con sin por para como cuando "
    "qué quién cómo si se su sus lo le al más pero este esta estos cada todo sobre entre muy hay",
    "it": "il lo la i gli le un uno una di del della dei delle e o non è sono che in con senza per "
    "come quando perché chi cosa se si su suo sua al alla più ma questo questa ogni tutto tra nel",
    "pt": "o a os as um uma uns umas de do da dos das e ou não é são que em com sem por para como "
    "quando porque se seu sua no na nos nas ao à mais mas este esta cada todo sobre entre muito",
    "nl": "de het een en of niet is zijn was dat die dit met zonder voor van op in uit aan bij "
    "naar over onder hoe wat wie waarom wanneer als ook maar er je jij u we ze elke te om geen "
    "moet kan",
    "sv": "den det de en ett och eller inte är var att som med utan för av på i ur till från om "
    "under hur vad vem varför när också men man du ni vi jag sig sin sitt varje kan ska måste",
    "da": "den det de en et og eller ikke er var at som med uden for af på i ud til fra om under "
    "hvordan hvad hvem hvorfor når også men man du vi jeg sig sin sit hver kan skal må",
    "pl": "i w na z ze do od po za o u nie jest są być się to ten ta te który która które co kto "
    "jak kiedy dlaczego czy że ale oraz lub dla przez pod nad bez każdy jego jej ich tym oraz",
    "tr": "bir ve veya ile için bu şu o ne kim nasıl neden değil da de mi mı gibi daha çok en her "
    "olan olarak kadar sonra önce ama içinde",
    "no": "den det de en et og eller ikke er var at som med uten for av på i ut til fra om under "
    "hvordan hva hvem hvorfor når også men man du vi jeg seg sin sitt hver kan skal må ikke",
    "fi": "ja on ei ole että se ne tämä joka jotka mitä mikä kuka miksi miten kun jos myös vain "
    "sekä tai mutta hän minä sinä ovat oli olla kuin niin anna kaksi kolme ilman vielä jokainen",
    "hu": "a az és vagy nem is hogy egy ez azt aki ami mit ki miért hogyan mikor ha csak de van "
    "volt meg el be ki fel mint olyan minden két három nélkül még már legyen számára",
    "cs": "a i v na s z ze do od po za o u ne není je jsou být se že ten ta to který která které "
    "co "
    "kdo jak kdy proč ale nebo také pro pod nad bez každý jeho její jejich dva tři než podle",
    "sk": "a i v na s z zo do od po za o u nie je sú byť sa že ten tá to ktorý ktorá ktoré čo kto "
    "ako kedy prečo ale alebo aj tiež pre pod nad bez každý jeho jej ich dva tri než podľa",
    "hr": "i u na s iz do od po za o nije je su biti se da taj ta to koji koja koje što tko kako "
    "kada zašto ali ili također pod nad bez svaki njegov njihov dva tri nego prema",
    "ro": "și sau nu este sunt un o al ale în din de la cu fără pentru prin pe că care ce cine cum "
    "când dacă mai dar se sa său lor fiecare tot acest această două trei atât foarte",
    "vi": "và là của có không một những các cho với trong ngoài từ đến này đó được khi nếu thì mà "
    "vì sao tại thế nào ai gì hãy cũng lại hai ba về như để hơn rất",
    "id": "dan atau yang di ke dari untuk dengan tanpa pada dalam ini itu adalah tidak bukan juga "
    "karena mengapa bagaimana apa siapa kapan jika akan dapat harus bagi sebagai lebih setiap dua "
    "tiga berikan jelaskan oleh tentang",
    "tl": "ang ng mga sa at ay na hindi ito iyon kung bakit paano ano sino kailan para may mula "
    "din rin lang ngunit dahil dalawang tatlong bawat",
    "sw": "na ya wa kwa ni la za katika kama hii hiyo huo kuwa si nini nani kwa vipi lini lakini "
    "au "
    "pia bila mbili tatu kila yako",
    "ca": "el la els les un una de del i o no és són que en amb sense per com quan qui què si es "
    "seva seu al als més però aquest aquesta cada tot sobre entre molt també",
}
OF_WORD: dict[str, list[str]] = {}
for _language, _common in COMMON.items():
    for _word in set(_common.split()):
        OF_WORD.setdefault(_word, []).append(_language)
SCRIPTS = (
    "CYRILLIC", "GREEK", "ARABIC", "HEBREW", "DEVANAGARI", "THAI", "HANGUL", "HIRAGANA",
    "KATAKANA", "CJK",
)  # fmt: skip
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+|[。！？]|\n+")
# what stands in quotes or code may be in any language
QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`")
FEWEST_WORDS = 5
FEWEST_COMMON = 2


def languages(text: str) -> set[str]:
    """The languages of the text's sentences outside quotes, as far as they can be told."""
    spoken = QUOTED.sub(lambda quote: ". " if quote[0][-2:-1] in ".!?" else " ", text)
    return {found for part in SENTENCE_END.split(spoken) if (found := language(part))}


@lru_cache(maxsize=8192)
def language(sentence: str) -> str | None:
    """The language or script of a sentence, or None where it is too short or in doubt."""
    if (script := _script(sentence)) is not None:
        return script
    said = words(sentence)
    if len(said) < FEWEST_WORDS:
        return None
    votes = Counter(name for word in said for name in OF_WORD.get(word, ()))
    ranked = [*votes.most_common(2), ("", 0), ("", 0)]
    best, second = ranked[0], ranked[1]
    enough = best[1] >= FEWEST_COMMON and best[1] / len(said) >= 0.15
    return best[0] if enough and best[1] > second[1] * 1.2 else None


def _script(sentence: str) -> str | None:
    """The script that most letters belong to, unless that is Latin."""
    if sentence.isascii():
        return None
    letters = [char for char in sentence[:400] if char.isalpha()]
    found = Counter(
        "CJK" if name in ("HIRAGANA", "KATAKANA") else name
        for char in letters
        if not char.isascii()
        for name in [unicodedata.name(char, "").partition(" ")[0]]
        if name in SCRIPTS
    )
    if not found:
        return None
    name, count = found.most_common(1)[0]
    return name.lower() if count > 3 and count > len(letters) / 2 else None


def scripts(text: str) -> set[str]:
    """The scripts other than Latin that whole sentences outside quotes are written in."""
    parts = SENTENCE_END.split(QUOTED.sub(" ", text))
    return {found for part in parts if len(words(part)) > 1 and (found := _script(part))}


def left_english(text: str, parent: str) -> bool:
    """Whether a sentence of the text, beside an English parent, is in another language.

    Says so where `language` cannot tell which: of words that are no English, some are common in
    other languages or have letters that English lacks, and hardly one is a common English word. The
    parent's own words do not count: a foreign sentence about an English word is foreign.
    """
    known = set(words(parent))
    spoken = QUOTED.sub(" ", text)
    return any(
        _is_foreign(part, known) for part in SENTENCE_END.split(spoken) if part not in parent
    )


def _is_foreign(sentence: str, known: set[str]) -> bool:
    said = [word for word in words(sentence) if not word.isdecimal()]
    if (script := _script(sentence)) is not None:
        return script != "greek" or len(said) >= FEWEST_WORDS  # a formula may be in Greek
    if len(said) < FEWEST_COMMON + 1:
        return False
    english = sum("en" in OF_WORD.get(word, ()) for word in said)
    only_english = sum(OF_WORD.get(word, ()) == ["en"] for word in said)
    names = {word.lower() for word in WORD.findall(sentence)[1:] if word[0].isupper()}
    foreign = sum(
        not word.isascii() or ("en" not in OF_WORD.get(word, ["en"]))
        for word in said
        if word not in known and word not in names
    )
    return (
        foreign >= FEWEST_COMMON
        and foreign / len(said) >= 0.2
        and (only_english == 0 or foreign > 2 * english)
    )
