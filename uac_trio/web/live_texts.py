"""The texts of ``/live``, in English and in Russian. A new text has a line here with both."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import attrs


class Language(enum.StrEnum):
    ENGLISH = "en"
    RUSSIAN = "ru"


@attrs.frozen
class Text:
    """May have places for values, ``{seconds}``, the same in both."""

    en: str
    ru: str


@attrs.frozen
class FindingText:
    """A condition in another language than the finding."""

    heading: str
    remedy: str
    """"" = the words of the finding have it."""


def language_of(accepted: Iterable[tuple[str, float]]) -> Language:
    """What a browser is answered in. ``accepted``: pairs of ``Accept-Language``, ``("ru-RU", 0.9)``."""
    weights = dict.fromkeys(Language, 0.0)
    for tag, weight in accepted:
        for language in Language:
            if tag.lower().partition("-")[0] == language:
                weights[language] = max(weights[language], weight)
    return Language.RUSSIAN if weights[Language.RUSSIAN] > weights[Language.ENGLISH] else Language.ENGLISH


TEXTS: Mapping[str, Text] = {
    # The page
    "title": Text("live", "сейчас"),
    "as_of": Text("as of {time}", "обновлено в {time}"),
    "no_answer": Text(
        "no answer from uac-trio for {seconds} s; what is below is old",
        "uac-trio не отвечает {seconds} с; всё ниже устарело",
    ),
    "verdict": Text("Is all well?", "Всё ли в порядке?"),
    "all_well": Text(
        "All is well: every PBX is connected and shows its calls, the CRM takes what is delivered, there are no dead "
        "letters.",
        "Всё в порядке: все АТС на связи и показывают звонки, CRM принимает сообщения, отклонённых нет.",
    ),
    "remedy": Text("What to do:", "Что делать:"),
    "since": Text("since {time}", "с {time}"),
    "footer": Text(
        "uac-trio {version}, running since {time}. The same as JSON: {json}; metrics: {metrics}.",
        "uac-trio {version}, работает с {time}. То же в JSON: {json}; показатели: {metrics}.",
    ),
    # Cards
    "pbx": Text("PBX {name}", "АТС {name}"),
    "pbx.connected": Text("connected", "на связи"),
    "pbx.connecting": Text("connecting", "соединяется"),
    "pbx.logging in": Text("logging in", "вход"),
    "pbx.not started": Text("not started", "не начато"),
    "pbx.waiting": Text("not connected", "нет связи"),
    "pbx.since": Text("connected since", "на связи с"),
    "pbx.heard": Text("last heard", "последнее событие"),
    "pbx.logins": Text("logins", "входов"),
    "ago": Text("{span} ago", "{span} назад"),
    "never": Text("never", "ещё не было"),
    "crm.works": Text("accepts requests", "принимает запросы"),
    "crm.fails": Text("not accepting requests", "не принимает запросы"),
    "crm.last": Text("last delivered", "последняя доставка"),
    "crm.not_yet": Text("not since the start", "с запуска не было"),
    "crm.usual": Text("usually answers in", "обычно отвечает за"),
    "crm.flight": Text("in flight", "в работе"),
    "crm.at_once": Text("{count} of {most} at once", "{count} из {most} разом"),
    "outbox": Text("Outbox", "Очередь доставки"),
    "outbox.works": Text("works", "работает"),
    "outbox.fails": Text("not writable", "не пишется"),
    "outbox.waiting": Text("waiting", "ждут"),
    "outbox.oldest": Text("{count}, the oldest {span}", "{count}, старейшее {span}"),
    "outbox.sending": Text("being sent", "отправляются"),
    "outbox.parked": Text("dead letters", "отклонены"),
    "outbox.delivered": Text("delivered, kept", "доставлены, хранятся"),
    # Dead letters
    "dead": Text("Dead letters", "Отклонённые сообщения"),
    "dead.about": Text("refused by the CRM for good", "CRM отказалась от них окончательно"),
    "dead.retry": Text("Send again", "Отправить снова"),
    "dead.tries": Text("sent {count} times", "отправлено раз: {count}"),
    "dead.more": Text(
        "Mend the cause first. A retry sends the later deliveries of the call too. {command} gives one up.",
        "Сначала устраните причину. Вместе с сообщением уйдут и следующие сообщения звонка. Отказаться: {command}.",
    ),
    "what_of_whom": Text("{kind} of {whom}", "{kind}: {whom}"),
    # Calls
    "live": Text("Calls in progress", "Идут сейчас"),
    "live.none": Text("No calls.", "Звонков нет."),
    "live.begins": Text(
        "A call begins; its details are not known yet.", "Звонок начинается, подробностей о нём ещё нет."
    ),
    "queue.waiting": Text(
        "queue {queue}: {count} waiting, the longest {span}", "очередь {queue}: ждут {count}, дольше всех {span}"
    ),
    "ended": Text("Calls that ended", "Завершённые звонки"),
    "ended.about": Text(
        "the last {count}; open one to see what was delivered to the CRM",
        "последние {count}; откройте звонок, чтобы увидеть, что передано в CRM",
    ),
    "ended.none": Text("None since the start at {time}.", "С запуска в {time} не было."),
    "direction.inbound": Text("inbound from", "входящий от"),
    "direction.outbound": Text("outbound to", "исходящий на"),
    "direction.internal": Text("internal", "внутренний"),
    "direction.": Text("call with", "звонок с"),
    "withheld": Text("a withheld number", "скрытого номера"),
    "in_queue": Text("queue {queue}", "очередь {queue}"),
    "waits_in_queue": Text("waits in queue {queue}", "ждёт в очереди {queue}"),
    "place": Text("place {position}", "место {position}"),
    "on_did": Text("on {did}", "на {did}"),
    "part.rings": Text("{extension} rings", "у {extension} звонит"),
    "part.calls": Text("{extension} calls", "{extension} звонит"),
    "part.talks": Text("{extension} talks, {span}", "{extension} говорит, {span}"),
    "part.inferred": Text("end inferred", "конец предположен"),
    "no_phone": Text("no employee's phone rang", "телефоны сотрудников не звонили"),
    "no_phone_yet": Text("no employee's phone yet", "телефон сотрудника ещё не звонит"),
    "not_employee": Text("a phone rang that is no employee's", "звонил телефон, который ничей"),
    "crm_open": Text("CRM: {open} of {count} open", "CRM: осталось {open} из {count}"),
    "crm_done": Text("CRM: {count} delivered", "CRM: доставлено {count}"),
    "crm_dry_run": Text("CRM: {count} not sent: dry run", "CRM: не отправлено {count}, пробный режим"),
    "crm_nothing": Text("CRM: nothing to deliver", "CRM: передавать нечего"),
    "by_click": Text("Click in the CRM: {words}", "Щелчок в CRM: {words}"),
    "transfer.blind": Text("blind transfer by {by} to {to}", "перевод без консультации: {by} на {to}"),
    "transfer.attended": Text("attended transfer by {by} to {to}", "перевод с консультацией: {by} на {to}"),
    "transfer.redirect": Text("sent on by {by} to {to}", "переадресация: {by} на {to}"),
    "transfer.park": Text("parked by {by}, taken by {to}", "парковка: {by}, взял {to}"),
    "became_part": Text("Became part of {call}.", "Стал частью {call}."),
    "column.at": Text("at", "когда"),
    "column.what": Text("what", "что"),
    "column.of": Text("of", "о ком"),
    "column.state": Text("state", "состояние"),
    "column.after": Text("after", "через"),
    "the_call": Text("the call", "звонок"),
    "sent_times": Text("sent {count} times", "отправлено раз: {count}"),
    "kind.begin": Text("begin", "начало"),
    "kind.answer": Text("answer", "ответ"),
    "kind.end": Text("end", "конец"),
    "kind.recording": Text("recording", "запись"),
    # How a part and a call ended
    "outcome.completed": Text("completed", "состоялся"),
    "outcome.no-answer": Text("no answer", "без ответа"),
    "outcome.busy": Text("busy", "занято"),
    "outcome.rejected": Text("rejected", "отклонён"),
    "outcome.cancelled": Text("cancelled", "отменён"),
    "outcome.failed": Text("failed", "не удался"),
    "outcome.answered-elsewhere": Text("answered elsewhere", "ответил другой"),
    "outcome.transferred": Text("transferred", "переведён"),
    "outcome.voicemail": Text("voicemail", "голосовая почта"),
    "outcome.": Text("ended", "завершён"),
    # How a delivery stands
    "state.delivered": Text("delivered", "доставлено"),
    "state.probably": Text("probably delivered", "вероятно, доставлено"),
    "state.again": Text("is tried again", "будет повторено"),
    "state.away": Text("waits for the CRM", "ждёт CRM"),
    "state.secret": Text("waits: wrong secret", "ждёт: неверный ключ"),
    "state.address": Text("waits: wrong address", "ждёт: неверный адрес"),
    "state.parked": Text("refused by the CRM, a dead letter", "отклонено CRM окончательно"),
    "state.unknown": Text("no answer: not known whether the CRM has it", "ответа нет: неизвестно, есть ли оно в CRM"),
    "state.superseded": Text("superseded: that part of the call is over", "не нужно: эта часть звонка уже позади"),
    "state.file": Text("waits until its file is complete", "ждёт, пока файл допишется"),
    "state.elsewhere": Text(
        "delivered by an earlier run, or by another connector", "доставлено до перезапуска или другим коннектором"
    ),
    "state.not_sent": Text("not sent yet", "ещё не отправлено"),
    "state.dry_run": Text("would have been sent", "было бы отправлено"),
    # Why nothing is delivered
    "nothing.internal": Text(
        'Between employees: not delivered ([calls] internal = "ignore").',
        'Между сотрудниками: не передаётся ([calls] internal = "ignore").',
    ),
    "nothing.no_employee": Text(
        "The phones that rang are no employee's, so no user has a popup; [calls] extensions, devices, mobiles, trunks "
        "and only_... decide that, as follows.",
        "Звонившие телефоны не числятся за сотрудниками, поэтому карточки нет ни у кого; это решают [calls] "
        "extensions, devices, mobiles, trunks и only_..., а именно:",
    ),
    "nothing.no_phone": Text(
        "No employee's phone rang, so there is no popup; [calls] unreached may name who owns such calls.",
        "Телефоны сотрудников не звонили, поэтому карточки нет; чьи такие звонки, может назвать [calls] unreached.",
    ),
    "nothing.other_kind": Text("Nothing of it is for this kind of CRM.", "CRM этого вида такие звонки не получает."),
    # Clicks, oddities
    "clicks": Text("Clicks in the CRM", "Щелчки в CRM"),
    "clicks.about": Text("that were given to a PBX", "переданные на АТС"),
    "click": Text("{extension} to {number}", "{extension} на {number}"),
    "odd": Text("Oddities", "Странности"),
    "odd.about": Text("what a PBX reported and should not be", "то, чего АТС не должна была сообщать"),
    # Help
    "help": Text("A popup did not come?", "Карточка не появилась?"),
    "help.explain": Text(
        "{command} shows of a call of the last hours what happened, by which rule, and why there was no popup.",
        "{command} показывает о звонке последних часов, что произошло, по какому правилу и почему не было карточки.",
    ),
    "help.not_listed": Text(
        "The call is not listed: the PBX is not connected, its manager user lacks {read}, or the phone is not an "
        "extension by {rule}.",
        "Звонка нет в списке: нет связи с АТС, у её пользователя AMI нет {read}, или номер телефона не внутренний по "
        "{rule}.",
    ),
    "help.nothing": Text(
        "The call is listed and nothing is delivered to the CRM: open its line to see why.",
        "Звонок в списке, а в CRM ничего не передано: откройте его, причина внутри.",
    ),
    "help.waits": Text(
        "A delivery waits or was refused: its line shows why, and since when.",
        "Сообщение ждёт или отклонено: в его строке видно, почему и с каких пор.",
    ),
    "help.delivered": Text(
        "The begin was delivered: vTiger sends the same reply to a request that it ignores. Does a CRM user have this "
        "extension, may they receive calls, is the time zone the CRM's, does this vTiger show popups at all? Popups "
        "are for incoming calls only.",
        "Начало доставлено: vTiger отвечает так же и на то, что пропускает мимо. Есть ли у пользователя CRM этот "
        "внутренний номер, разрешено ли ему принимать звонки, тот ли часовой пояс, показывает ли эта vTiger карточки "
        "вообще? Карточки бывают только у входящих звонков.",
    ),
    "help.check": Text(
        "{command} checks the PBXes, the CRM and this machine.", "{command} проверяет АТС, CRM и эту машину."
    ),
    # Refusals
    "refused.network": Text(
        "Refused: your address is not in monitor_networks of [http] in the configuration.",
        "Отказано: вашего адреса нет в monitor_networks раздела [http] настроек.",
    ),
    "refused.host": Text(
        "Refused: this host name is not in monitor_hosts of [http] in the configuration. Add it there if it is this "
        "server's, or use its IP address.",
        "Отказано: этого имени нет в monitor_hosts раздела [http] настроек. Добавьте его, если это имя этого сервера, "
        "или обратитесь по IP-адресу.",
    ),
    "refused.form": Text(
        "Refused: this did not come from the page itself, or the page is older than the program. Open /live and try "
        "again.",
        "Отказано: запрос пришёл не с самой страницы, или программу перезапустили. Откройте /live и повторите.",
    ),
    "retry.gone": Text(
        "This is no dead letter any more: it was sent again or dropped meanwhile.",
        "Это сообщение уже не в отклонённых: тем временем его отправили снова или отказались от него.",
    ),
    "retry.fails": Text("It was not sent again: {reason}", "Отправить снова не удалось: {reason}"),
    # Spans of time
    "span.ms": Text("{n} ms", "{n} мс"),
    "span.s": Text("{n} s", "{n} с"),
    "span.min": Text("{n} min", "{n} мин"),
    "span.h": Text("{h} h {min} min", "{h} ч {min} мин"),
    "span.days": Text("{n} days", "{n} дн."),
}


FINDINGS_IN_RUSSIAN: Mapping[str, FindingText] = {
    "pbx_away": FindingText("Нет связи с АТС", "Причину назовёт uac-trio check --live."),
    "pbx_unknown": FindingText("Отвечает не Asterisk", "host и port этой [[pbx]] должны быть от AMI самого Asterisk."),
    "calls_not_announced": FindingText(
        "АТС не сообщает о звонках",
        "read = call,agent,cdr,system у нашего пользователя в manager.conf, без eventfilter, скрывающего звонки; затем "
        "новый вход.",
    ),
    "no_calls": FindingText("Часами нет звонков", "Позвоните и посмотрите на эту страницу."),
    "not_an_employee": FindingText(
        "Звонит телефон, который ничей", "[calls] devices или extensions; факс или домофон — в trunks."
    ),
    "line_like_extension": FindingText("Внешняя линия названа как внутренний номер", "[calls] trunks."),
    "queue_calls_not_shown": FindingText("Очередь не показывает, кому звонит", "eventwhencalled = yes в queues.conf."),
    "no_recording_names": FindingText(
        "У звонков нет записей", "Передайте recordingfile в событие Cdr; ведёт ли диалплан запись?"
    ),
    "recordings_away": FindingText("Записи с другой машины недоступны", "Работает ли там uac-trio serve-recordings?"),
    "crm_away": FindingText("CRM ничего не получает", ""),
    "probably_delivered": FindingText("CRM отвечает ошибками", "Посмотрите журнал ошибок её веб-сервера."),
    "may_be_lost": FindingText(
        "Сообщение могло пропасть", "Поищите строку звонка в CRM; звонок назван в журнале, sender.may_be_lost."
    ),
    "dead_letters": FindingText("CRM отклонила сообщения", "Причины ниже. Устраните причину и отправьте снова."),
    "route_away": FindingText("Звонящих не направляют к ответственным", "См. docs/ru/routing.md."),
    "store_fails": FindingText("База ничего не принимает", ""),
    "started_over": FindingText("Всё началось заново", "Сообщите нам, приложив журнал. Исчезнет с перезапуском."),
    "flight_recorder_fails": FindingText(
        "AMI не записывается",
        "Дайте пользователю службы право писать туда или укажите другой каталог в [flight_recorder]; до тех пор "
        "uac-trio explain не увидит того, что происходит.",
    ),
    "dry_run": FindingText(
        "Пробный режим",
        "Ничего не отправляется. Для настоящей работы запустите uac-trio run без --dry-run.",
    ),
    "configuration_refused": FindingText(
        "В настройках ошибки", "Исправьте файл и перечитайте его; до тех пор действуют прежние настройки."
    ),
}
"""By condition. A finding itself is in English."""


def text(language: Language, key: str, **values: object) -> str:
    """One text with its values. Raises KeyError for a key that is not in the catalogue."""
    found: str = getattr(TEXTS[key], language.value)
    return found.format(**values) if values else found
