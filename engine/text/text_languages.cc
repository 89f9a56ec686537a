#include "engine/text/text_languages.h"

#include <algorithm>
#include <array>

namespace cookix::engine {
namespace {

// Words that stand in most texts and tell none apart: articles, pronouns, auxiliaries,
// prepositions and conjunctions. English "no", "not", "may" and "will" are not among
// them: they change what is asked, or are names too.

constexpr std::string_view kDanish =
    "af alle alt at bare blev blive bliver da de dem den denne der deres det dette dig din dine "
    "disse dit dog du efter eller en end er et for fra få ham han hans har havde have hende hendes "
    "her hos hun hvad hvis hvor hvordan hvornår i ikke ind jeg jer jeres jo kan kunne man mange "
    "med men mig min mine mit mod ned noget nogle nok nu når og også om op os over på selv sig sin "
    "sine sit skal skulle som således til ud under var ved vi vil ville være været";

constexpr std::string_view kGerman =
    "aber als also am an auch auf aus bei beim bin bis bist da damit dann das dass dein deine "
    "deinem deinen deiner dem den denn der deren des dessen dich die dies diese diesem diesen "
    "dieser dieses dir doch dort du durch ein eine einem einen einer eines er es etwas euch euer "
    "eure für gegen hab habe haben hat hatte hatten hier hin ich ihm ihn ihnen ihr ihre ihrem "
    "ihren ihrer im in indem ins ist ja jede jedem jeden jeder jedes jene jenem jenen jener kann "
    "kein keine keinem keinen keiner können könnte man manche mein meine meinem meinen meiner mich "
    "mir mit muss musste müssen nach nicht noch nun nur ob oder ohne sehr sein seine seinem seinen "
    "seiner seit sich sie sind so solche soll sollte sondern sonst um und uns unser unsere unter "
    "viel vom von vor war waren warst was weg weil welche welchem welchen welcher wenn wer werde "
    "werden wie wieder will wir wird wirst wo wollen wurde wurden während würde würden zu zum zur "
    "zwar zwischen über";

constexpr std::string_view kGreek =
    "ένα ένασ ήταν ίσωσ αλλά αν αντί από αυτά αυτή αυτοί αυτούσ αυτό αυτόσ αυτών για δε δεν εάν "
    "είμαι είμαστε είναι είσαι είστε εκείνη εκείνο εκείνοσ ενώ επί η θα και κατά κι μία μα μασ "
    "με μετά μη μην μια μου να ο οι παρά ποια ποιο ποιοι ποιοσ που προσ πωσ πώσ σασ σε σου στα "
    "στη στην στισ στο στον στουσ τα την τησ τισ το τον του τουσ των τότε ωσ όμωσ όπωσ όσο ότι";

constexpr std::string_view kEnglish =
    "a about after all also am an and any are as at be because been before being between both but "
    "by can could did do does doing during each for from further had has have having he her here "
    "hers herself him himself his how i if in into is it its itself just me more most my myself of "
    "off on once only or other our ours ourselves out over own same she should so some such than "
    "that the their theirs them themselves then there these they this those through to too under "
    "until up very was we were what when where which while who whom why with would you your yours "
    "yourself yourselves i'm you're he's she's it's we're they're i've you've we've they've i'd "
    "you'd he'd she'd we'd they'd i'll you'll he'll she'll we'll they'll that's who's what's "
    "here's there's where's let's";

constexpr std::string_view kSpanish =
    "a al algo alguna algunas alguno algunos ante antes aquel aquella aquellas aquellos aquí así "
    "aunque cada como con cual cuales cuando cuál cómo de del desde donde dos durante dónde e el "
    "ella ellas ello ellos en entre era eran es esa esas ese eso esos esta estaba estaban estado "
    "estar estas este esto estos está están fue fueron fui ha haber había habían han hasta hay he "
    "la las le les lo los me mi mis mientras mucho muchos muy más mí mía mío nada ni no nos "
    "nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para pero poco por "
    "porque pues que quien quienes qué quién se sea sean ser si sido sin sobre son su sus suya "
    "suyo sí también tanto te tenía ti tiene tienen toda todas todo todos tu tus tú u un una unas "
    "uno unos vosotros vuestra vuestro y ya yo él";

constexpr std::string_view kFinnish =
    "ei eivät emme en et ette että hän hänelle hänen häneltä hänessä hänestä hänet häntä he heidän "
    "heidät heille heitä itse ja jo johon joiden joissa joita joka joko jolla jolle jona jonka jos "
    "jossa josta jota jotka kanssa keitä kenen ketkä ketä koska kuin kuka kun kyllä me meidän "
    "meidät meille meitä mihin mikä mikäli minkä minua minulla minulle minun minut minä missä "
    "mistä mitkä mitä mukaan mutta myös ne nehän niiden niihin niille niin niistä niitä noin nuo "
    "nyt nämä näiden näitä ole olemme olen olet olette oli olin olisi olit olivat olla olleet "
    "ollut on ovat se sekä sen siihen siinä siis siitä silloin sille sillä sinua sinulla sinulle "
    "sinun sinut sinä sitä tai te teidän teidät teille teitä tuo tuon tuota tämä tämän tässä tästä "
    "tätä vaan vai vaikka vain voi";

constexpr std::string_view kFrench =
    "a ai ainsi alors au aucun aussi autre autres aux avaient avait avant avec avez avoir avons "
    "ayant bien car ce ceci cela celle celles celui ces cet cette ceux chez ci comme comment dans "
    "de depuis des donc dont du elle elles en encore entre es est et eu eux fait faut fut ici il "
    "ils je la le les leur leurs lui là ma mais me mes moi moins mon même mêmes ne ni nos notre "
    "nous on ont ou où par parce pas pendant peu peut plus pour pourquoi qu quand que quel quelle "
    "quelles quels qui quoi sa sans se sera serait ses si soi soit sommes son sont sous suis sur "
    "ta te tes toi ton tous tout toute toutes très tu un une vers voici voilà vos votre vous y à "
    "étaient étais était étant été être";

constexpr std::string_view kHungarian =
    "a abban ahhoz ahogy ahol aki akik akkor alatt amely amelyek ami amikor amit annak arra arról "
    "az azok azon azonban azt aztán azért be belül benne bár csak de e egy egyes egyik egyéb ehhez "
    "ekkor el ellen elég elő először előtt emilyen ennek ennél erre és ez ezek ezen ezt ezért fel "
    "felé ha hanem hogy hogyan hol honnan hova hozzá ide igen így ill illetve ilyen is ismét itt "
    "jó jól kell kellett keresztül ki kívül között közül le legyen lehet lehetett lenne lenni lesz "
    "lett maga magát majd meg mellett mely melyek mert mi mikor milyen minden mindig mint mintha "
    "mit mivel miért most már más másik még míg nagyon ne nekem neki nem nincs olyan ott össze ő "
    "ők őket pedig persze rá s saját sem semmi sok sokat számára szemben szerint szinte te tehát "
    "teljes tovább több ugyanis új újra úgy után utána vagy vagyis vagyok valaki valami valamint "
    "van vannak vele vissza viszont volt voltak voltam volna által";

constexpr std::string_view kItalian =
    "a abbiamo ad agli ai al alla alle allo anche avere aveva avevano c che chi ci coi col come "
    "con contro cui d da dagli dai dal dalla dalle dallo degli dei del dell della delle dello di "
    "dopo dove e ed era erano essere fa fra fu gli ha hai hanno ho i il in io l la le lei li lo "
    "loro lui ma me mi mia mie miei mio ne negli nei nel nella nelle nello noi non nostra nostre "
    "nostri nostro o ogni per perché però più poi prima quale quali quando quanta quante quanti "
    "quanto quella quelle quelli quello questa queste questi questo qui se sei senza si sia siamo "
    "siano siete sono sopra sotto sta stata state stati stato stesso su sua sue sugli sui sul "
    "sulla sulle sullo suo suoi tra tu tua tue tuo tuoi tutti tutto un una uno vi voi vostra "
    "vostre vostri vostro è";

constexpr std::string_view kDutch =
    "aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus "
    "een eens en er ge geen haar had heb hebben heeft hem het hier hij hoe hun iemand iets ik in "
    "is ja je jij jou jouw jullie kan kon kunnen maar me meer men met mij mijn moet na naar niet "
    "niets nog nu of om omdat ons onze ook op over reeds te tegen toch toen tot u uit uw van veel "
    "voor want waren was wat we wel werd wezen wie wij wil worden wordt zal ze zelf zich zij zijn "
    "zo zonder zou";

constexpr std::string_view kNorwegian =
    "alle at av bare begge ble blei bli blir både båe da de deg dei deim deira dem den denne der "
    "dere deres det dette di din disse ditt du eg ein eit eitt eller elles en enn er et ett etter "
    "for fordi fra før ha hadde han hans har hennar henne hennes her hjå ho hoe honom hos hun hva "
    "hvem hver hvilke hvilken hvis hvor hvordan hvorfor i ikke ikkje inn ingen ja jeg kan kom kun "
    "kunne kva kvar kven kvi man mange me med meg mellom men mer mi min mitt mot mye må mykje ned "
    "no noe noen nå når og også om opp oss over på samme seg selv si sia sidan siden sin sine sitt "
    "skal skulle slik so som ut uten var vart ved verte vi vil ville vore vort vår være vært";

constexpr std::string_view kPortuguese =
    "a ainda ao aos aquela aquelas aquele aqueles aquilo as até cada com como da das de dela delas "
    "dele deles depois do dos e ela elas ele eles em entre era eram essa essas esse esses esta "
    "estamos estar estas estava estavam este estes estou está estão eu foi foram for fosse haja há "
    "isso isto já la lhe lhes mais mas me mesmo meu meus minha minhas muito na nas nem no nos "
    "nossa nossas nosso nossos num numa não nós o onde os ou para pela pelas pelo pelos por porque "
    "qual quando que quem se seja sem ser seria será seu seus sido somos sua suas são só também te "
    "tem tenho ter teu teus tinha tinham toda todas todo todos tu tua tuas tém têm um uma umas uns "
    "você vocês vos à às é";

constexpr std::string_view kRomanian =
    "a abia acea aceasta această aceea acei aceia acel acela acele acelea acest acesta aceste "
    "acestea aceşti aceştia acolo acum ai aia aici al ale alea alt alta altă alţi alţii am ar are "
    "as asta astea atunci au aveam avea avem aveţi aţi ba ca că cam cand când care cărei căror "
    "cărui cât câte câţi câtva ce cea ceea cei cel cele celor chiar ci cine cu cui cum cumva da "
    "dacă dar de deci deja deoarece despre deşi din dintr dintre doar după ea ei el ele era erau "
    "este eşti eu face fără fi fie fiecare fiind fost iar îi îl îmi în înainte încă între îşi îţi "
    "la le li lor lui mă mai mea mei mele meu mi mult multă mulţi ne nici nimic niste nişte noi "
    "nostru noastră nouă nu o or ori orice oricine pe pentru peste până poate prea prin sa să săi "
    "sale sau său se si şi spre sub sunt suntem sunteţi ta tale tău te ţi toate tot toţi totuşi tu "
    "un una unde unei unele unii unor unu unui va vă voastră voi vostru vom vor vreo";

constexpr std::string_view kRussian =
    "а без более бы был была были было быть в вам вас ведь весь во вот все всего всех всю вы где "
    "да даже для до его ее её ей ему если есть ещё еще ж же за здесь и из или им их к как какая "
    "какой ко когда которая которое которые который кто ли либо меня мне много может мой моя мы на "
    "над надо нам нас наш не него нее неё ней нет ни них но ну о об однако он она они оно от очень "
    "по под после потом потому почти при про раз с сам свою себе себя со так также такой там тебя "
    "тем теперь то тогда того тоже той только том тот ты у уж уже хотя чего чей чем через что "
    "чтобы "
    "чья эта эти это этого этой этом этот эту я";

constexpr std::string_view kSwedish =
    "alla allt att av blev bli blir blivit de dem den denna deras dess dessa det detta dig din "
    "dina ditt du där då efter ej eller en er era ert ett från för ha hade han hans har henne "
    "hennes hon honom hur här i icke ingen inom inte jag ju kan kunde man med mellan men mig min "
    "mina mitt mot mycket ni nu när någon något några och om oss på samma sedan sig sin sina sitt "
    "själv skulle som så sådan sådana sådant till under upp ut utan vad var vara varför varit "
    "varje vars vart vem vi vid vilka vilkas vilken vilket vår våra vårt än är åt över ska skall";

constexpr std::string_view kTurkish =
    "acaba ama ancak aslında az bana bazı belki ben benden beni benim beri bile bir biri birkaç "
    "birçok birşey biz bize bizden bizi bizim bu buna bunda bundan bunlar bunları bunların bunu "
    "bunun burada böyle böylece çok çünkü da daha dahi de defa değil diye diğer en eğer fakat "
    "gibi göre hangi hatta hem henüz hep hepsi her herhangi herkes hiç hiçbir için ile ilgili ise "
    "işte kadar karşın kendi kendine kendini ki kim kime kimi kimse madem mi mı mu mü nasıl ne "
    "neden nedenle nerde nerede nereye niye niçin o olan olarak oldu olduğu olduğunu olması olsa "
    "olup olur ona ondan onlar onlara onlardan onları onların onu onun orada oysa rağmen sadece "
    "sana sanki sen senden seni senin siz size sizden sizi sizin sonra tarafından tüm var ve veya "
    "ya yani yapılan yaptı yerine yine yoksa zaten çeşitli öyle üzere şey şeyler şimdi şu şuna "
    "şunda şundan şunu şöyle";

constexpr std::string_view kCatalan =
    "a això al allò als amb aquell aquella aquelles aquells aquest aquesta aquestes aquests així "
    "cada com d de del dels des després doncs el ella elles ells els em en ens entre era eren es "
    "està estan et ets fins ha han havia hi ho i jo l la les li lo los mentre molt més meu meva "
    "ni no nosaltres nostra nostre o on per perquè però poc qual quals quan que quin quina què "
    "qui s sa se sense ser ses seu seva si sobre sota són sóc també te tot tota tots tu un una "
    "unes uns us va vosaltres és";

constexpr std::array kLanguages = {
    TextLanguage{"ar", "arabic", "", ""},
    TextLanguage{"ca", "catalan", kCatalan, "d l m n s t"},
    TextLanguage{"da", "danish", kDanish, ""},
    TextLanguage{"de", "german", kGerman, ""},
    TextLanguage{"el", "greek", kGreek, ""},
    TextLanguage{"en", "english", kEnglish, ""},
    TextLanguage{"es", "spanish", kSpanish, ""},
    TextLanguage{"eu", "basque", "", ""},
    TextLanguage{"fi", "finnish", kFinnish, ""},
    TextLanguage{"fr", "french", kFrench, "c d j jusqu l lorsqu m n puisqu qu quoiqu s t"},
    TextLanguage{"ga", "irish", "", ""},
    TextLanguage{"hi", "hindi", "", ""},
    TextLanguage{"hu", "hungarian", kHungarian, ""},
    TextLanguage{"hy", "armenian", "", ""},
    TextLanguage{"id", "indonesian", "", ""},
    TextLanguage{"it", "italian", kItalian,
                 "agl all c d dagl dall degl dell gl l m negl nell quell s sugl sull t un v"},
    TextLanguage{"lt", "lithuanian", "", ""},
    TextLanguage{"ne", "nepali", "", ""},
    TextLanguage{"nl", "dutch", kDutch, ""},
    TextLanguage{"no", "norwegian", kNorwegian, ""},
    TextLanguage{"pt", "portuguese", kPortuguese, ""},
    TextLanguage{"ro", "romanian", kRomanian, ""},
    TextLanguage{"ru", "russian", kRussian, ""},
    TextLanguage{"sr", "serbian", "", ""},
    TextLanguage{"sv", "swedish", kSwedish, ""},
    TextLanguage{"ta", "tamil", "", ""},
    TextLanguage{"tr", "turkish", kTurkish, ""},
    TextLanguage{"yi", "yiddish", "", ""},
};

}  // namespace

std::span<const TextLanguage> KnownLanguages() { return kLanguages; }

const TextLanguage* FindLanguage(std::string_view code) {
  const auto found = std::find_if(kLanguages.begin(), kLanguages.end(),
                                  [&](const TextLanguage& known) { return known.code == code; });
  return found == kLanguages.end() ? nullptr : &*found;
}

std::string KnownLanguageCodes() {
  std::string list;
  for (const TextLanguage& language : kLanguages) {
    if (!list.empty()) list += ", ";
    list += language.code;
  }
  return list;
}

}  // namespace cookix::engine
