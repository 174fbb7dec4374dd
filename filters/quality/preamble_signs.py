"""The signs that `preamble` looks for, in lower case with straight quotes and single blanks.

A text that was asked for is about its matter; what stands around it is about the exchange: who
asked, what was asked for, that it was written, what may be done next. So a sentence is told by its
parts: the teacher (I, my) or the asker (you, your), an act of delivery (prepared, put together)
and the thing delivered (response, request, version).
"""

from filters.quality.phrases import any_of

# What one asks a teacher for. "Here is the rewritten text:" talks to the asker; "Here are some tips
# to stay fit:" opens many a good list, so tips, steps, ideas and examples are not among them.
ASKED_FOR = (
    r"(?:response|answer|rewriting|summary|text|article|passage|solution|explanation|draft|story|"
    r"essay|poem|code|function|script|document|content|translation|faq)s?"
)
ASKED_FOR_BY = r"(?:\w+ )?(?:answer|response|reply|suggestion|proposal|solution|attempt|take)"
YES = (
    r"(?:(?:yes|oh|why|well),? )?(?:sure(?: thing)?|certainly|absolutely|definitely|of course|okay|"
    r"ok|gladly|no (?:problem|worries)|got it|understood|noted|with pleasure)"
)
# Stories and lessons say these too, so what follows has to speak of the exchange.
EAGER = (
    rf"(?:{YES}|yes|alright|all right|perfect|great|wonderful|excellent|fantastic|awesome|"
    r"cool|amazing|interesting|thanks|hmm)"
)
LEAD = rf"(?:(?:{EAGER}|so|first|now|well|right)\b ?[,.!]* ){{0,2}}"
PRAISED = (
    r"(?:(?:really |very |such )?(?:great|good|excellent|interesting|fantastic|wonderful|lovely|"
    r"thoughtful|fascinating|important|fun|tricky|amazing|brilliant))"
)
REQUEST = r"(?:question|prompt|request|topic|point|task|idea|subject|challenge|assignment)"
OUTPUT = (
    r"(?:response|answer|output|result|version|rewrite|reply|draft|deliverable|completion|"
    r"(?:rewritten|revised|final|finished|requested|completed|generated) "
    r"(?:text|task|prompt|document|piece|content|material|work))"
)
# "I have prepared", not "I made it to the station": what is made is written.
MADE = (
    r"(?:written|produced|prepared|completed|created|put together|drafted|generated|composed|"
    r"crafted|compiled|come up with|rewritten|rephrased|summari[sz]ed|analy[sz]ed|reviewed|"
    r"considered|taken|everything)"
)
WRITE = (
    r"(?:write|produce|prepare|complete|create|put (?:it )?together|draft|generate|compose|craft|"
    r"provide|address|answer|explain|summari[sz]e|rewrite|rephrase|break|walk|outline|go ahead)"
)
DO = (
    r"(?:do|do my best|give|present|tackle|start|begin|try|show|share|carry out|perform|deliver|"
    r"handle|work (?:on|through)|go through|take care of|follow)"
)
# What marks the thing made as what was asked for.
THE_TASK = (
    r"(?:(?:the|your|this|these) (?:task|request|question|prompt|instructions|requirements)|"
    rf"(?:as|exactly) (?:you )?(?:requested|instructed|asked)|step by step|{OUTPUT})\b"
)
THIS = rf"(?:{THE_TASK}|(?:you(?:r|rs)?|this|that|it|the (?:text|following)|below|following)\b)"
FULFILS = (
    r"(?:the |your |all |every |each )[^.!?\n]{0,40}"
    r"\b(?:instruct\w*|format\w*|requirements?|constraints?|guidelines|rules|style|tone|request)\b"
)

OPENERS = any_of(
    rf"{YES} ?!",
    r"(?:sure|certainly|of course|okay|ok|gladly|got it|understood|noted|with pleasure) ?\.\s",
    r"\[(?:response|output|answer|rewritten text|result|text|summary)\]",
    r"(?:working on (?:it|this)|writing (?:it )?now|one moment(?: please)?|give me a (?:moment|"
    r"second))"
    r" ?[.!:,]",
    rf"{YES} ?[,.:;-]+ ?(?:here|i\b|let|below|this is|happy|glad|the following)",
    r"sure(?: thing)?[,.] ",
    rf"(?:(?:what|that's|that is|this is) an? )?{PRAISED} {REQUEST}\b(?: about [^.!?\n]{{1,60}})?"
    r" ?[!.,]",
    r"(?:here(?:'s| is)|below is) (?:(?:the|your|my|an?|one) )?"
    r"(?:[\w'-]+ ){0,4}?(?:prompt|version|rewrite|question|instruction)\b[^.!?\n]{0,120}:",
    r"i(?:'ve| have|'ll| will) (?:now )?(?:rewr[io]t\w*|rephras\w+|revis\w+)",
    r"(?:as (?:you )?requested|in response to your|(?:as )?per your (?:request|instructions))\b",
    r"(?:ok|okay|alright)[,.]? (?:so )?(?:the user|here we go|let me|let's see)",
    # a label of the output, on a line of its own or before its first word
    r"(?:(?:my|the|final|model) )?(?:output|response|answer|result|reply)(?:\*\*|__)? ?:"
    r"(?:\*\*|__)? ?(?:\n|$)",
    r"(?:(?:my )?response|output|result|answer|"
    r"(?:new|final|rewritten|revised|improved|updated|edited) "
    r"(?:prompt|text|version|draft|output|result|response))(?:\*\*|__)? ?:(?:\*\*|__)? ?"
    r"(?:\n|$|(?=[a-z#*|\[{(]))",
    r"(?:(?:my |the )?(?:response|output|rewrite)|(?:my|final) (?:answer|result|reply))"
    r"(?:\*\*|__)? ?(?:\n|(?=#))",
    r"(?:assistant|ai|model|bot) ?:\s(?!(?:.|\n){0,250}\b(?:user|human|customer|caller|q) ?:)",
    r"(?:the following|this) (?:response|text|version|prompt|rewrite) (?:was|is|has been) "
    r"(?:written|prepared|rewritten|created|based)",
    # thinking aloud
    r"<(?:think|thinking|reasoning|scratchpad)>",
    r"(?:ok|okay|alright|hmm)[,. ]+(?:so )?the (?:user|asker|prompt|task|question|request) "
    r"(?:is|wants|asks|asked|needs|said|says|has|would|seems|gave|provided)\b",
    r"the (?:user|asker) (?:(?:is asking|asked|asks|wants) (?:me|for|about|to know|us|an?)|said|"
    r"would like)\b",
    r"(?:you (?:got it|bet)|here (?:you|we) go|there you go|on it|coming right up|my pleasure|"
    r"consider it done|will do|right away|as you wish|challenge accepted)\b ?[!.:,]",
    r"task (?:complete|completed|done|finished)\b ?[!.:]",
)
# A prompt may say these in good faith: "Here is an article: …", "Let me know if …".
TEXT_OPENERS = any_of(
    r"i(?:'d| would) (?:be (?:more than |very )?(?:happy|glad|delighted)|love) to "
    r"(?:help|assist|explain|provide|answer|share)",
    r"i(?:'m| am) (?:happy|glad|delighted|here) to (?:help|assist|explain|provide|answer|share)",
    r"(?:thank you|thanks)(?: so much| very much)? for (?:asking|(?:your|the) (?:\w+ )?"
    r"(?:question|message|request|details|context|patience|input|clarification|information|"
    r"prompt|task|topic|interest|opportunity|trust|feedback)|"
    r"reaching out|sharing|providing|clarifying|trusting)",
    r"happy to (?:help|assist)\b",
    r"you(?:'re| are) (?:\w+ )?(?:right to ask|asking)\b",
    r"(?:yes, )?i can (?:certainly |definitely )?(?:do|help with) (?:that|this)\b",
    rf"(?:\w+, )?what an? {PRAISED} {REQUEST}\b",
    # "Got it. Writing it down now:", "Alright, this is what I have:"
    rf"{EAGER}(?: at all)? ?[,.!-]+ [^.!?\n:]{{0,80}}"
    r"\b(?:i|i'(?:ve|ll|m)|i'd|me|my|you|your|now)\b[^.!?\n:]{0,80}:(?:\s|$)",
    rf"(?:{YES}(?: at all)? ?[,.!-]+ )?(?:my|the) {ASKED_FOR_BY} (?:to your \w+ )?"
    r"(?:is as follows|goes as follows|follows|would be(?: as follows)?|is (?:given )?below|"
    r"is given here)[.:]",
    rf"(?:this|that)(?:'s| is) an? (?:\w+ )?{PRAISED} {REQUEST}\b",
    r"let's (?:dive|get started|begin|jump)(?: (?:right )?in(?:to it)?)?[!.]",
    r"(?:here(?:'s| is| are)|below (?:is|are)) (?:(?:the|your|my|an?|some|one) )?"
    rf"(?:(?!about|of|on|for|in|with|to|where|why)[\w'-]+ ){{0,4}}?{ASKED_FOR}\b[^.!?\n]{{0,120}}:",
    r"(?:here(?:'s| is| are)|below (?:is|are)|this is|find below|attached (?:is|are)) "
    rf"(?:(?:what|everything) (?:you|i)\b|(?:\w+ ){{0,2}}?{OUTPUT}\b)[^.!?\n]{{0,100}}:",
    r"(?:please )?find (?:below|attached|(?:the|my|your) [^.!?\n]{0,60}\b(?:below|attached))\b",
    r"please find\b",
    # I and you in the first sentence, and a verb of delivery: "I'm glad to share this with you."
    r"(?!i(?: am|'m) writing)(?=[^.!?\n]{0,160}\b(?:i|i'm|i've|i'll|"
    r"i'd)\b)(?=[^.!?\n]{0,160}\b(?:you|your)\b)"
    r"[^.!?\n]{0,120}\b(?:help|assist|share|explain|guide|got|put|rewr\w+|summari[sz]e|walk|"
    r"prepared|"
    r"wrote|written|understand)\b",
    r"(?:so |very )?(?:glad|happy|pleased|thanks|good)(?: that)? you asked\b",
    rf"(?:that's |this is |what )?(?:an? )?(?:{PRAISED}|nice|easy|tough|hard) (?:one|choice|"
    rf"pick)\b[^.!?\n]{{0,30}}[.!]",
    r"i (?:took the liberty|went ahead)\b",
    # a line that leads to the text: "I gave it a try:", "Your summary, as a list:"
    r"i(?:'ve|'ll| have| will| gave| made| put| wrote| tried| came)\b[^.!?\n]{0,120}: *\n",
    rf"your (?:\w+ )?{ASKED_FOR}\b[^.!?\n]{{0,60}}:",
    r"what follows is (?:an?|the|my|your)\b",
    r"(?:sounds good|happy to oblige|glad to oblige)\b ?[!.,]",
    rf"{EAGER}[,.!]* let's (?:do|get|go|dive|begin|start)\b",
    r"i(?:'ve| have)? \w+(?:ed|en) (?:the|your|this) (?:\w+ )?(?:passage|text|source|article|"
    r"document|"
    r"content|request|prompt)\b",
    r"(?:rewritten|revised|simplified|edited|summari[sz]ed|adapted|reworked|"
    r"just)\b(?: \w+){0,6} ?:\s",
    r"(?:generating|rewriting|writing|preparing|processing|drafting|creating)\b[^.!?\n]{0,60}"
    r"(?:\.\.\.|\u2026)",
    r"this (?:response|answer|reply|rewrite) (?:will|covers|explains|aims|provides|is)\b",
    r"the user's (?:question|request|prompt|task|message|query)\b",
    r"(?:here(?:'s| is)|below is|this is) (?:my best|how i|what i)\b",
    r"(?:hi|hello|hey|greetings)(?: there)? and welcome\b",
    r"ready\? ",
    # "Alright! Here goes."; but "Yes, here is why" may answer a question
    rf"(?!yes\b){EAGER}(?: at all)? ?[!,.:-]+ ?(?:here(?:'s| is| are| goes| you)|below|coming|"
    r"working on|writing)\b",
    r"(?:here(?:'s| is| are)|this is) my (?:\w+ )?(?:take|answer|attempt|version|response|try|"
    r"suggestion|thoughts?|draft|best)\b[^.!?\n]{0,60}[:.]",
    r"(?:below )?you(?:'ll| will| can) find (?:\w+ ){0,6}?(?:below|attached)\b",
    r"below,? you(?:'ll| will| can) find\b",
    rf"the following is (?:an?|the|your|my) (?:\w+ ){{0,3}}?(?:{OUTPUT}|{ASKED_FOR})\b"
    r"[^.!?\n]{0,100}:",
    r"(?:let me|allow me to) (?:give|provide|offer|explain|summari[sz]e|outline|present|begin|"
    r"address|clarify|elaborate)\b",
    r"(?:hi|hello|hey)(?: there)?[!,.] (?:great|good|nice|lovely) to (?:hear|see|meet)\b",
    r"i hope you(?:'re| are)\b",
    r"for your (?:convenience|reference|consideration)\b",
    r"to (?:answer|address|respond to|fulfil|complete|meet) (?:your|the|this) "
    r"(?:question|request|prompt|task|query)\b ?[,:]",
    rf"(?:ah|oh|wow|hmm|ooh|yay)[,!] (?:[^.!?\n]{{0,40}}[!.] )?"
    rf"(?:what an?|this is an?|that's an?|an?|i (?:love|like) (?:this|that)) (?:\w+ )?{REQUEST}\b",
    r"(?:hi|hello|hey|greetings|welcome)(?: there| again| friend| everyone)?[!,.] [^.!?\n]{0,40}"
    r"\b(?:how are you|i(?:'m| am) (?:here|happy|glad|your|an)|i(?:'ve| have) got|i can|let me|"
    r"i(?:'d| would) be|i(?:'ll| will)|happy to|glad to|(?:thank you|thanks) for)\b",
    r"dear (?:user|asker|questioner|prompter)\b",
    r"let me know (?:if|whether|what|how) (?:this|that|it|you)\b",
    r"i (?:can )?(?:understand|see|hear|gather|know|notice)(?: that)? (?:your? (?:\w+ )?"
    r"(?:request|question|prompt|task|looking|asking|interested|trying|seeking|wondering)|"
    r"you(?:'re|'d like|'ve asked| are| want| need| would like| asked)\b)",
    r"as an? (?:[\w-]+ ){0,3}?(?:ai|language model|assistant|expert)\b[^.!?\n]{0,20},? i\b",
    # "let's break this down" alone begins many a good solution
    rf"(?:{EAGER}[,.!]* let's|(?:{EAGER}[,.!]* )?(?:let me|allow me to)) (?:think|see|answer|start|"
    r"(?:have|take) a (?:look|moment)|(?:break|tackle) (?:this|it)|walk you|help you)\b",
    r"(?:based on|given|considering|following|from|using|with) (?:the|your|all the) "
    r"(?:(?:\w+ )?(?:context|information|details|input|instructions?|requirements?|text|source|"
    r"material)\b)(?: (?:that |which )?you(?:'ve| have)? (?:provided|given|shared|supplied|gave|"
    r"sent))?,? (?:here|this is|below|i(?:'ve| have|'ll| will| would)?)\b",
    rf"i (?:really )?(?:love|like|appreciate|enjoy|admire) (?:this|that|your) (?:\w+ )?{REQUEST}\b",
    r"(?:so,? )?you(?:'ve| have)? (?:asked|requested)\b",
    r"(?:so,? )?you(?: want(?:ed)?|'d like| would like) me to\b",
    r"your (?:request|question|prompt|task|query) (?:has|is|was|about|asks|concerns|regarding)\b",
    r"(?:excited|thrilled|honou?red|delighted|pleased) to (?:help|assist|share|write|work)\b",
    r"in (?:this|my) (?:response|answer|reply|text),? i\b",
    # who, what is done, for whom, in one sentence: "I have written the text as instructed."
    rf"{LEAD}i(?: now)?(?:'ve| have) (?:now |just |already |\w+ly )*{MADE}\b"
    rf"[^.!?\n]{{0,80}}?\b{THIS}",
    rf"{LEAD}i(?:'ll| will|'m going to| am going to| can| shall| need to) "
    rf"(?:now |just |first |\w+ly )*(?:{WRITE}\b[^.!?\n]{{0,80}}?\b{THIS}|"
    rf"{DO}\b[^.!?\n]{{0,80}}?\b{THE_TASK})",
    rf"(?:ok|okay|alright|hmm)[,.!]* (?:so )?(?:i|we) (?:need|have|want) to\b[^.!?\n]{{0,20}}"
    rf"\b(?:{WRITE}|{DO})\b",
)

LAST_WORDS = r"[^\n]{0,160}$"
SIGN_OFFS = any_of(
    rf"\bhope you(?:'ll| will)? (?:like|enjoy|find|found|learn|got|had)\w*{LAST_WORDS}",
    r"\bhope (?:this|that|it|these) (?:\w+ ){0,3}?"
    rf"(?:helps?|helped|helpful|answers|clear|clears|clarif\w+|useful|is what|meets|works)\b"
    rf"{LAST_WORDS}",
    rf"\b(?:feel free|(?:do not|don't) hesitate) to \w+{LAST_WORDS}",
    rf"\blet me know (?:if|how|whether|what|which|in case|when){LAST_WORDS}",
    rf"\btell me (?:if|whether|which|when) (?:you|this|that|it){LAST_WORDS}",
    rf"\bif you(?:'d| would)?(?: \w+)? (?:have|need|want|like|prefer|wish)\b[^.!?\n]{{0,80}}"
    r"\b(?:ask me|(?:please|just) ask|let me know|tell me|i'm here|happy to|i'(?:ll|d)|"
    rf"i (?:can|could|will|would))\b{LAST_WORDS}",
    rf"\bis there (?:anything|something) else (?:i can|you){LAST_WORDS}",
    # a question back about the answer itself, as the last thing said
    rf"\b(?:would you like|do you want|would you prefer|want) (?:me to|if i)\b{LAST_WORDS}",
    r"(?:^|[.!?\n] ?)(?:or |so |and )?shall i \w[^.!?\n]{0,80}\?\W*$",
    r"(?:^|[.!?\n] ?)(?:(?:do you |have you )?(?:have |got )?any (?:\w+ )?questions|"
    r"(?:need )?anything else)\b[^.!?\n]{0,40}\?\W*$",
    r"(?:^|[.!?\n] ?)(?:or |so |and )?(?:should|can|could|may) i (?:also |further )?"
    r"(?:go on|continue|proceed|keep going|expand|elaborate|add|include|adjust|rewrite|shorten|"
    r"turn|explain (?:more|further)|help|assist|do (?:the same|more))\b[^.!?\n]{0,80}\?\W*$",
    r"\b(?:does|did|is|was|would|will) (?:this|that|it) (?:all )?(?:make sense|help|work for you|"
    r"answer your|what you (?:had|were|wanted|needed|meant|asked)|meet your|look (?:ok|okay|good|"
    r"right)|clear(?:er)?\?)[^.!?\n]{0,60}\?\W*$",
    rf"\bi trust (?:that )?(?:this|it) (?:\w+ )?(?:helps|meets|answers|is what){LAST_WORDS}",
    rf"\bjust (?:say the word|ask|let me know|tell me)\b{LAST_WORDS}",
    r"[.!?]\s+(?:i(?:'d be|'m) )?(?:happy|glad) to (?:adjust|revise|help|expand|clarify|tweak|"
    r"modify|"
    r"change|edit|refine|iterate|provide|add|share|discuss|answer|elaborate|shorten|rework|update|"
    rf"follow up|assist)\b{LAST_WORDS}",
    rf"(?:^|[.!?\n] ?)[^.!?\n]{{0,60}}\b(?:just|please) (?:say so|shout|holler|"
    rf"reply)\b{LAST_WORDS}",
    r"\bwould you (?:like|prefer) (?:an?|some|more|another|to (?:see|hear|know|explore|learn|"
    r"have))\b"
    r"[^.!?\n]{0,80}\?\W*$",
    r"\bi(?:'ll|'m)?(?: can| could| will| would| am)?\b[^.!?\n]{0,80} (?:(?:up)?on request|"
    r"if (?:needed|"
    r"requested|desired|you(?:'d)? (?:like|wish|prefer)))[.!]?\W*$",
    rf"(?:^|[.!?\n] ?)(?:that|this) (?:concludes|completes|ends|wraps up) (?:the|my|our|this|your) "
    rf"(?:{OUTPUT}|{ASKED_FOR}|{REQUEST})\b{LAST_WORDS}",
    r"\bfeedback (?:is|would be) (?:\w+ )?(?:welcome|appreciated)\b[^\n]{0,60}$",
    r"\b(?:love|welcome|appreciate) (?:to (?:hear|get) )?(?:your|any) (?:feedback|thoughts)\b"
    r"[^\n]{0,60}$",
    rf"\bi(?:'m| am| will be|'ll be) (?:always )?(?:here|around|available|ready) "
    rf"(?:to help|if you|for you|whenever|should you){LAST_WORDS}",
    r"\b(?:thank you|thanks) for (?:reading|asking|the (?:\w+ )?question|your (?:\w+ )?"
    r"(?:question|request|patience|trust))\b[^.!?\n]{0,60}\W*$",
    rf"(?:^|[.!?\n] ?)(?:\w+ )?(?:ping|message|contact|shout|ask|call on|get back to) me "
    rf"(?:if|when|whenever|for|with|anytime|any time|should|again){LAST_WORDS}",
    rf"\b(?:i remain|i'm|i am|always|remain) at your (?:disposal|service){LAST_WORDS}",
    rf"\bi (?:can|could|would|may) (?:also|happily|gladly) (?:provide|create|add|give|make|write|"
    rf"turn|offer|help|explain|expand|tailor|adapt){LAST_WORDS}",
    r"\b(?:glad|pleased|delighted|happy) (?:that )?(?:i (?:could|can|was able to)|to (?:have )?"
    r"(?:be|been)) (?:help|assist|of (?:help|service|use|assistance))\w*[^\n]{0,60}$",
    # what was written speaks of itself
    r"\b(?:this (?:response|text|version|output|answer|rewrite|reply|draft)|"
    r"(?:the|my) (?:response|output|rewrite)) (?:above )?(?:was|is|has been) "
    rf"(?:automatically )?(?:generated|written|rewritten|produced|created){LAST_WORDS}",
    r"\b(?:this|the|my) (?:response|version|output|answer|rewrite|reply|draft|text) (?:above )?"
    r"(?:follows|meets|adheres to|satisfies|complies with|respects|fulfils|sticks to|matches) "
    rf"{FULFILS}{LAST_WORDS}",
    rf"\bi (?:\w+ly )?(?:followed|kept to|met|stuck to|respected|included|avoided) {FULFILS}"
    rf"{LAST_WORDS}",
    rf"\bi(?:'ve| have) (?:\w+ )?(?:followed|tried|kept|aimed|made sure|ensured|attempted|sought|"
    r"stuck|added|changed|adjusted|rephrased|simplified|avoided|included|used)\b[^.!?\n]{0,60}"
    r"\b(?:instruct\w*|format\w*|tone|requirements?|balance|length|constraints?|guidelines|"
    rf"ask(?:ed)?(?: for)?|request\w*|style|simple|clear|concise|possible|sentences|wording)"
    rf"{LAST_WORDS}",
    # I and you in the last sentence, and what was asked for: "Have I answered your question?"
    r"[.!?\n] ?(?=[^.!?\n]*\b(?:i|i'm|i've|i'll|i'd|me|my)\b)(?=[^.!?\n]*\b(?:you|your|you'd)\b)"
    r"(?=[^.!?\n]*\b(?:questions?|answer(?:ed)?|response|version|thoughts|feedback|anything|"
    r"something|"
    r"more|explain|help|rewrite|tone|clarify)\b)[^.!?\n]{0,120}[.!?]?\W*$",
    r"(?:^|[.!?\n] ?)(?:please |do |just )*let me know\b[^.!?\n]{0,80}[.!]\W*$",
    r"(?:^|[.!?\n] ?)(?:i )?hope(?:fully)? (?:this|that|it) (?:all )?(?:makes|answers|gives|was|"
    r"works|suits|"
    r"serves|does)\b[^.!?\n]{0,80}[.!]\W*$",
    r"(?:^|[.!?\n] ?)(?:please )?(?:note that )?i(?:'ve| have) \w+[^.!?\n]{0,60}\b(?:words|parts|"
    r"sentences|"
    r"text|passage|paragraphs?|language|wording|version)\b[^.!?\n]{0,40}[.!]\W*$",
    r"(?:^|[.!?\n] ?)(?:please rate|until next time|thanks again|(?:please |do )?tell me if|"
    r"(?:please )?reach out (?:if|when|any ?time|to me))\b[^.!?\n]{0,80}[.!]\W*$",
    r"(?:^|[.!?\n] ?)(?:is|was) (?:this|that|it) (?:\w+ )?(?:enough|okay|ok|fine|detailed|"
    r"helpful|useful)"
    r"\b[^.!?\n]{0,60}\?\W*$",
    r"(?:^|[.!?\n] ?)the above (?:text|response|answer|version|rewrite)\b[^.!?\n]{0,80}[.!]\W*$",
    r"\bi(?:'m| am| remain)(?: \w+)? (?:here|available)(?: for [^.!?\n]{1,40})?[.!]\W*$",
    # a footer: "Word count: 164", "**Changes made:** …", "(Note: I kept …)"
    r"(?:\n|[.!?] )\W*(?:word count|changes made|notes? to (?:the )?(?:user|editor)|disclaimer|"
    r"explanation of (?:the )?changes|what (?:i )?changed|summary of changes)\W{0,3}:"
    r"[^\n]{0,240}$",
    r"[\[<(|]+(?:end|eos|end of (?:text|response|answer|document|output)|done)[\])|>]+\W*$",
    r"\n\W*end of (?:the |my )?(?:text|response|answer|document|output|message)\W*$",
    r"\b(?:your (?:friendly |helpful )?(?:ai |virtual )?|(?:ai|virtual) )assistant\W*$",
)
# The end of a letter may say these as well.
FAREWELLS = any_of(
    r"\b(?:good|best of) luck(?:[ ,](?:with |on |in |and )?[^.!?\n]{1,60})?[!.]\W*$",
    r"\bhappy (?:[a-z]+ing)!\W*$",
    r"(?:^|[.!?\n] ?)(?:\W{0,3})(?:[a-z ]{0,20}, )?(?:and )?(?:have|enjoy) an? (?:great|nice|"
    r"good|lovely|wonderful|fantastic|"
    r"pleasant|beautiful) (?:day|one|time|week|weekend|evening|rest)\b[^.!?\n]{0,30}[!.]\W*$",
    r"(?:^|[.!?\n] ?)stay (?:curious|safe|tuned|healthy|positive|well)\b[^.!?\n]{0,20}[!.]\W*$",
    r"\byou're (?:very |most )?welcome[!.]\W*$",
    r"(?:^|[.!?\n] ?)(?:take care|cheers|enjoy|have fun)[!.]\W*$",
    r"(?:^|[.!?\n] ?)(?:that's (?:it|all)(?: (?:for now|from me))?|there you (?:have it|go)|"
    r"all done)!"
    r"[^\n]{0,80}$",
    r"(?:^|[.!?\n] ?)(?:i )?wish(?:ing)? you (?:all )?(?:the (?:very )?best|luck|success|an? )"
    r"[^.!?\n]{0,60}[.!]\W*$",
    r"(?:^|[.!?\n] ?)(?:let's (?:keep|continue)|keep up the|all the best)\b[^.!?\n]{0,40}[.!]\W*$",
    r"\blook(?:ing)? forward to (?:your|hearing|helping)\b[^.!?\n]{0,60}[.!]\W*$",
)
LETTER = any_of(r"(?:dear|hi|hello|hey|to whom|subject|good (?:morning|afternoon|evening))\b")
