"""Stock openings: a first sentence that could stand before any text, whatever it is about.

Cosmopedia's prompts ban stock openers by name; studies of model text find that the ban moves
models to the next one. So these are classes, each a frame round a topic, with the words that fill
it: nothing is said of the topic but that it is old, everywhere, important, fascinating, or about to
be told. Two ways to stand: at the beginning of the sentence, or as its predicate, anywhere in it.

    In an age of constant change, locks remain …      ->  stock: the age
    The world of locks is a fascinating one.          ->  stock: praise
    For centuries, masons cut them from limestone.    ->  not: it says who did what
    "Sure," said the lock-keeper, and opened the gate ->  not: a person in the text says it
"""

from __future__ import annotations

import re

READ_CHARS = 400  # of a line: what is looked at, and a bound on what a pattern may cost


def _any(*frames: str) -> str:
    return "|".join(f"(?:{frame})" for frame in frames)


WORLD = r"(?:world|age|era|times?|landscape|society|environment|climate|day and age|century)"
BUSY = (
    r"(?:today|modern|fast|ever|rapid\w*|increasingly|constantly|digital|complex|busy|globali[sz]ed"
    r"|interconnected|competitive|contemporary|current|present|hectic|connected|changing|evolving"
    r"|growing|paced|moving|shifting|dynamic|vast|technolog\w+|data|driven)"
)
EVERYONE = (
    r"(?:everyone|everybody|we all|(?:all|most|many|some) of us|most people|many people|people)"
)
PEOPLE = (
    r"(?:people|humans?|human beings|humankind|humanity|mankind|man|men and women|civili[sz]ations?"
    r"|cultures|societies|scholars|thinkers|scientists|philosophers|experts|we|generations)"
)
AGES = (
    r"(?:centuries|generations|millennia|ages|decades|(?:thousands|hundreds) of years|as long as)"
)
CHARMS = (  # what a topic is said to do to people
    r"(?:fascinat|captivat|intrigu|enchant|charm|mystif|puzzl|inspir|amaz|entranc|enthral|delight"
    r"|beguil|bewitch|interest|captur|gripp|occupied|preoccupied|baffl|stirr|sparked|drawn)\w*"
)
MUSE = rf"(?:{CHARMS}|(?:wonder|marvel|dream|wrestl|grappl|ask|searched|sought|turned)\w*)"
PRAISE = (
    r"(?:fascinating|captivating|intriguing|interesting|compelling|exciting|complex|multifaceted"
    r"|nuanced|rich|vast|broad|deep|timeless|important|crucial|vital|essential|fundamental|critical"
    r"|key|remarkable|amazing|wonderful|beautiful|curious|enduring|popular|hot|pressing|relevant"
    r"|misunderstood|controversial|versatile|powerful|magical|mysterious|valuable|indispensable"
    r"|integral|central|significant|pivotal|inspiring|rewarding|ever-changing|diverse)"
)
TOPIC = (
    r"(?:topics?|subjects?|fields?|worlds?|concepts?|phenomen(?:on|a)|areas?|disciplines?|journeys?"
    r"|stor(?:y|ies)|matters?|questions?|ideas?|issues?|themes?|realms?|arts?|skills?|aspects?"
    r"|parts?|things?|elements?|ones?|domains?|tapestr(?:y|ies)|inventions?)"
)
HARD = (
    r"(?:confusing|daunting|tricky|overwhelming|intimidating|complicated|challenging|scary|puzzling"
    r"|bewildering|difficult|frustrating|mysterious|boring|dull)"
)
LIVES = (
    r"(?:(?:our|your|their|everyone's|people's|daily|everyday|modern|human|so many|many|countless)"
    r" )+(?:\w+ )?(?:life|lives|society|world|culture|existence|homes|routines?)"
)
SET_OUT = (
    r"(?:delve|dive|embark|journey|explore|unpack|unravel|uncover|discover|demystify|dig"
    r"|venture|travel|get to know|shed light|break (?:it )?down|go on an?|find out"
    r"|take (?:an?|one) (?:\w+ )?(?:look|tour|journey|trip|walk|dive|peek|stroll|step)"
    r"|have an? (?:\w+ )?look|look (?:more closely|closer|deeper)|walk you through"
    r"|unlock|tackle|peel back|lift the (?:lid|veil|curtain))"
)
PIECE = (
    r"(?:article|post|blog|blog post|guide|section|chapter|text|piece|lesson|overview|essay|page"
    r"|tutorial|passage|entry|unit|video|episode|story)"
)
GREETED = r"(?:readers?|students?|everyone|there|friends?|learners?|class|kids|children|all)"
AGREED = r"(?:no problem|all ?right|got it|understood|okay|ok|sure|certainly|of course|absolutely)"

AGE = _any(
    rf"in (?:today(?:'s)?|(?:the|our|this|an?)? ?{BUSY})[\s,'-](?:[\w'-]+[ ,]+){{0,4}}?{WORLD}\b",
    r"in (?:today's|this modern) \w+,",
    rf"in an? (?:[\w-]+[ ,]+){{0,4}}?{WORLD}\b[ ,]*"
    r"(?:of|where|in which|when|that|full|so|filled)\b",
    rf"(?:we|you) (?:all |now )?(?:live|find ourselves) in (?:an?|the) (?:[\w-]+ )*?{WORLD}\b",
    r"in recent years,|in this day and age|in our (?:[\w-]+ )*?(?:lives|world|times?)\b",
    r"in the (?:21st|twenty-first) century,",
    rf"as (?:the|our|this) {WORLD} (?:\w+ ){{0,2}}?(?:becom|grow|get|chang|evolv|mov|continu|spin"
    r"|shrink|advanc|embrac)\w*",
    r"as (?:technology|science|society|life|time) (?:\w+ ){0,2}?(?:advanc|evolv|progress|grow"
    r"|chang|mov|march|becom)\w*",
    r"now,? more than ever|today,? more than ever|in the age of (?:the |social |artificial )?"
    r"(?:internet|media|information|intelligence|ai|smartphones?|technology)\b",
    r"with the (?:[\w-]+ )?(?:rise|advent|growth|arrival|emergence|spread|advance|pace) of "
    r"(?:the )?(?:(?:new|modern|digital|ever\S*|advanced|social|smart|artificial|emerging) ?)*"
    r"(?:technolog\w+|internet|media|ai|intelligence|globali[sz]ation|change|age|world|life)\b",
)
EVER = _any(
    r"(?:since|from) (?:the )?(?:(?:very )?(?:dawn|beginning) of (?:time|man\w*|human\w*|history"
    r"|civili[sz]ation|days)|time immemorial|days of old)",
    r"since the dawn of",
    r"from (?:(?:the )?(?:earliest|ancient|prehistoric) (?:times|days|civili[sz]ations)|antiquity)"
    r" (?:\w+ ){0,3}?to (?:the )?(?:present|today|modern|now|our|this|digital)",
    r"throughout (?:(?:all |much )?(?:of )?(?:human |recorded )?history"
    r"|the (?:ages|centuries)|time)",
    rf"(?:for|over|through|across|down) (?:the )?(?:many |countless |untold )?{AGES}\b,? "
    rf"(?:\w+ ){{0,6}}?{PEOPLE}\b(?: \w+){{0,6}}? {MUSE}",
    r"(?:people|humans|human beings|humanity|mankind) (?:ha(?:s|ve) )(?:always|long|ever)\b",
    r"once upon a time\b|in a (?:land|kingdom|galaxy) far|long,? long ago|long ago,|a long time ago"
    r"|there once (?:was|lived)\b",
)
HOOK = _any(
    r"have you (?:ever|heard|noticed|wondered|always|thought about)\b",
    r"(?:do you|did you|don't you|haven't you|ever|you(?:'ve| have| may| might| must)?) "
    r"(?:\w+ ){0,2}?(?:wonder(?:ed)?|ask(?:ed)? yourself|stop(?:ped)? to)\b",
    r"did you know\b|do you (?:know what|remember when|ever|want to|struggle|find yourself"
    r"|dream)\b",
    r"what (?:if i|would you (?:say|think) if|comes to (?:your )?mind|springs to mind"
    r"|do you (?:think of|picture|see|imagine|know about)|if you could|image)\b",
    r"when you (?:think|hear)\b|when was the last time|the next time you|next time you",
    r"who (?:hasn't|doesn't|has not|does not|among us|would have thought|wouldn't)\b",
    r"(?:imagine|picture) (?:this|for a moment|yourself|a world|that you|you're|you are|you)\b",
    r"close your eyes\b|think back to|ask yourself\b|ask anyone\b|look around (?:you|and)\b",
    r"if you(?:'ve| have) ever\b|if you(?:'re| are) (?:like (?:most|many|me)|reading this"
    r"|anything like|wondering|new to|curious|looking (?:for|to))\b",
    r"(?:you've|you have|you may have|you might have|chances are,?(?: that)? you've?) "
    r"(?:\w+ ){0,2}?heard (?:of|about|the|people|that)\b",
    r"welcome (?:to|back|,)|gather (?:a?round|close)|come (?:along|closer)\b"
    r"|step (?:right up|into)\b|buckle up|get ready|(?:are you )?ready (?:to|for)\b|hold on to your"
    r"|listen up|brace yourself",
    rf"(?:hello|hi|hey|greetings|dear)[ ,!]+(?:\w+ ){{0,3}}?{GREETED}\b",
)
INVITES = _any(
    rf"(?:let's|let us|join (?:me|us)|come with us|(?:and )?together,? (?:we|let's))\b[ ,]*"
    rf"(?:\w+ ){{0,5}}?{SET_OUT}\b",
    rf"(?:(?:in|throughout|over the course of) (?:this|the following|today's) (?:\w+ )?{PIECE},? )?"
    r"(?:we|i|you)(?:'ll| will|'re going to| are going to| shall)? "
    rf"(?:\w+ ){{0,2}}?{SET_OUT}\b",
    rf"(?:this|today's) (?:\w+ )?{PIECE} (?:will )?(?:\w+ )?(?:(?:walk|guide|lead)s? you"
    r"|explores?|delves?|dives?|unpacks?"
    r"|takes? (?:you|a)|invites?|aims)\b",
    r"let's (?:face it|be honest|get started|begin our|start our|talk about|be real)|join us\b",
)
SAYINGS = _any(
    r"as (?:the (?:old )?(?:saying|proverb|adage|song) (?:goes|has it)|they say|everyone knows"
    r"|(?:we|you) (?:may |might |probably |all |surely )*know)\b",
    r"(?:an?|the) old (?:saying|proverb|adage)\b|there(?:'s| is) (?:an|a well-known) (?:old )?"
    r"(?:saying|proverb)",
    r"there(?:'s| is| can be) (?:no|little) (?:doubt|denying|question|secret|shortage|escaping)\b",
    r"there(?:'s| is) (?:just )?(?:something|nothing) (?:\w+ ){0,2}?(?:about|like|quite)\b",
    r"(?:it is|it's) (?:no (?:secret|surprise|exaggeration|wonder|coincidence)|widely known"
    r"|a truth universally|(?:often|commonly|frequently) said|safe to say|hard to (?:imagine"
    r"|overstate|believe|think)|impossible to (?:imagine|overstate)|easy to (?:forget|overlook))\b",
    r"it (?:goes without saying|should come as no surprise|has often been said)|needless to say"
    r"|truth be told|believe it or not|like it or not|love (?:it|them) or hate|simply put,",
    r"life is (?:full|like|a|an|what|short|too)\b|knowledge is power|time flies|change is the only",
    r"when it comes to\b|whether (?:we|you|or not) (?:\w+ ){0,3}?(?:it|not),?(?: or not)?[ ,]",
    r"whether you(?:'re| are|'ve| have| want| love| call| think| prefer| know)\b",
    r"(?:we've|we have) all (?:been|had|heard|seen|felt|done|experienced|wondered)\b",
    rf"{EVERYONE} (?:\w+ )?(?:knows?|loves?|talks?|talking|has heard|have heard|dreams?|wonders?"
    r"|takes? (?:it )?for granted|(?:is|are) familiar|(?:has|have) (?:once|at some))\b",
    r"if there(?:'s| is) (?:one|anything)|no matter (?:who|where|what|how|if|whether) (?:you|we)\b"
    r"|from the moment (?:we|you) (?:wake|are born|get up|rise|open)"
    r"|every (?:single )?(?:day|year|night),? (?:\w+ )?(?:millions|billions|thousands|countless|we"
    r"|most of us)\b|at (?:its|their|the very) (?:core|heart),",
    r"(?:it is|it's|there is) (?:a (?:well-known|simple|universal|curious) (?:fact|truth)"
    r"|an? (?:\w+ )?question as old as|a truth)|ah[,!] |prepare to be\b|say hello to\b",
    r"(?:understanding|mastering|grasping|knowing|navigating|exploring|appreciating|learning"
    r"|studying) [^.!?]{1,80}? (?:is|are|can be|becomes?|remains?) (?:\w+ ){0,2}?"
    rf"(?:{PRAISE}|{HARD}|fun|necessary|easier|part|the (?:key|first|foundation))\b",
    r"in the (?:\w+ )?(?:realm|tapestry|expanse|annals|world|universe|hustle and bustle|fast lane"
    r"|grand scheme|ever\S+) of\b",
)
REPLIES = _any(  # to the asker, in place of a text for readers
    rf"{AGREED}\b ?(?:[.!]|[,;:-]+ ?(?:here|i|let|below|this is|happy|glad|the following|we)\b)",
    r"(?:output|response|answer|result|rewritten text|rewrite): ",
    r"[^.:\n]{0,40}\bthis is what i (?:came up with|have)|my (?:answer|suggestion|version) ",
)
BEGINS = re.compile(_any(AGE, EVER, HOOK, INVITES, SAYINGS, REPLIES))

PREDICATES = re.compile(
    _any(
        # what it is: a topic, and a good one
        rf"\b(?:is|are|remains?|stands? as|represents?|has become) (?:\w+ ){{0,4}}?{PRAISE} "
        r"(?:and \w+ |yet \w+ |, \w+ )?"
        rf"{TOPIC}\b(?= ?(?:$|[.,;:!]|(?:that|which|with)\b"
        r"|of (?:our|modern|everyday|daily|human|life)|in (?:our|today|modern|many|the|human)"
        r"|for (?:many|everyone|all|people)|to (?:explore|study|understand|many)|full))",
        r"\bthe (?:\w+ )?(?:world|realm|art|story|history|universe|magic|wonders?) of "
        rf"(?:[^\s.!?]+ ){{1,6}}?(?:is|are|awaits?|can be|never|continues) (?:\w+ ){{0,3}}?"
        rf"(?:{PRAISE}|cease|waiting|long|you)",
        rf"\bcan (?:\w+ )?(?:be|seem|feel|sound|look|appear) (?:\w+ ){{0,2}}?{HARD}\b"
        r"(?= ?(?:$|[.,;:!]|at first|for (?:many|beginners|anyone|even|some)|but"
        r"|to (?:many|anyone)))",
        rf"\b(?:few|no other|hardly any|not many) (?:\w+ )?{TOPIC} (?:\w+ ){{0,2}}?(?:are|is|have"
        r"|has|can|stir|spark|capture|inspire|evoke|seem)\b",
        # how important
        r"\b(?:importance|significance|value|role|impact|power|relevance|influence|benefits?) of "
        r"[^.!?]{1,80}? (?:(?:be|is|are)(?: \w+){0,2}? (?:to )?(?:overstat|understat|underestimat"
        r"|overestimat|exaggerat|over-?emphasi|overlook|ignor|den[iy]|stress)\w*"
        r"|(?:is|are) (?:undeniable|immeasurable|beyond|undisputed|hard to miss))",
        r"\b(?:plays?|has|have|holds?|occup\w+) an? (?:\w+ )*?(?:role|part|place) in (?:our|today"
        r"|modern|many|human|society|everyday|daily|the (?:modern|lives|world|hearts?)|every|people"
        r"|countless|virtually)\b",
        rf"\b(?:part|aspect|fabric|cornerstone|staple|feature|fact) of {LIVES}",
        rf"\b(?:touch|affect|shap|surround|influenc|impact|chang|transform|enrich|permeat|follow"
        rf"|accompan|govern|rul)\w* (?:\w+ ){{0,3}}?(?:{LIVES}|all of us|every one of us"
        r"|the way we (?:live|think|work))",
        r"\b(?:more|less) (?:\w+ )?than ever\b|\bas (?:\w+ )as (?:it )?ever\b"
        r"|\bnever been (?:more|so|easier|a better)\b|\bincreasingly (?:important|popular|relevant"
        r"|vital|essential|common|crucial)\b",
        r"\b(?:takes?|taken|taking) (?:\w+ )?for granted\b"
        r"|\b(?:often|easily|frequently) overlooked\b"
        r"|\beasy to (?:overlook|forget|take for granted)\b",
        r"\bis (?:all )?(?:everywhere|all around us)(?: (?:these days|today|now))?[.!,]"
        r"|\beveryone's lips\b|\btakes? on (?:an? )?(?:\w+ )?(?:meaning|importance|significance)\b",
        # how old and fascinating
        rf"\b(?:has|have) (?:long |always |ever )?{CHARMS} (?:the )?(?:\w+ ){{0,4}}?(?:{PEOPLE}"
        r"|many|minds?|imaginations?|attention|hearts?|us|curiosity|everyone|interest)\b",
        r"\b(?:has|have) (?:long|always) been (?:an?|the|one|at|part|seen|considered|regarded)\b",
        # what is to come
        r"\beverything (?:that )?(?:you|there is|one)(?:'ll| will)?(?: ever)? (?:need|want|have|to"
        r" know|wanted)\b|\ball you need to know\b",
        r"\b(?:more|much|a lot|so much|plenty|a great deal|something)(?: \w+)? to "
        r"(?:[^.!?]{1,50} than (?:meets|one|you|just)\b|discover|take in|learn|explore|unpack|offer"
        r"|know)\b",
        r"\bmore than (?:meets the eye|just an?|you (?:might )?(?:think|expect|know))\b"
        r"|\bsomething for (?:everyone|everybody|all)\b|\bfull of surprises\b",
        r"\byou(?:'re| are|'ve come to| have come to) (?:in )?the right place\b|\blook no further\b"
        r"|\byou(?:'re| are) not alone\b|\bmade easy\b",
        rf"\b{EVERYONE} (?:is |are )?talk(?:s|ing)? about\b|\bbut what (?:is|are|does|do|exactly"
        r"|actually|really)\b[^.?!]*\b(?:really|exactly|actually|mean|about)\b[^.]*\?",
        r"\b(?:rich|vast|intricate|great|grand|colou?rful) tapestry\b"
        r"|\b(?:stood|stands) the test of time\b",
    )
)
PLAIN = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u2013": "-", "\u2014": "-", "\u201c": '"', "\u201d": '"'}
)
SKIPPED = re.compile(r"\s*(?:#|\||[-=*_]{3,}\s*$|$)")
LISTED = re.compile(r"^[\s>*_(-]+|^(?:Q|A|[A-Z][a-z]{1,20})\s*:[\s*_]*")
SPEECH = re.compile(r"[\"'][^\"]{1,200}[\"'],? \w")
END = re.compile(r"[.!?](?=[\s\"')]|$)")
SHORT = 16  # characters: of "Bees!" nothing is said yet, and the next sentence counts as well


def opens_with_stock(text: str) -> bool:
    """Whether the first line of prose, behind headings and tables, opens with a stock sentence.

    What a person in the text says is theirs: "Sure," said the driver.
    """
    for line in text[: 4 * READ_CHARS].split("\n"):
        if SKIPPED.match(line):
            continue
        plain = LISTED.sub("", LISTED.sub("", line[:READ_CHARS])).translate(PLAIN).lower()
        if SPEECH.match(plain):
            return False
        plain = plain.lstrip("\"' ")
        end = END.search(plain, min(len(plain), SHORT))
        sentence = plain[: end.end()] if end else plain
        return BEGINS.match(plain) is not None or PREDICATES.search(sentence) is not None
    return False
