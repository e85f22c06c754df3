//! Verdicts in words of both languages.

use std::net::SocketAddr;

use parallax_core::CaptureTime;
use parallax_core::plain::plain;
use parallax_core::report::{Cause, Origin, ResetReport, Side};

use super::{Lang, chinese};

/// A text from outside, cut to what a cell has room for.
pub fn brief(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let cut: String = characters.by_ref().take(most).collect();
    let mut cut = plain(&cut);
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

/// Characters of a name in running text.
pub const NAME: usize = 40;

fn name(text: &str) -> String {
    brief(text, NAME)
}

pub fn origin(t: Lang, origin: Origin) -> &'static str {
    match origin {
        Origin::Endpoint => t.say("endpoint", "端点"),
        Origin::Middlebox => t.say("middlebox", "中间盒"),
        Origin::Undetermined => t.say("undetermined", "未定"),
    }
}

pub fn side(t: Lang, side: Side) -> &'static str {
    match side {
        Side::Client => t.say("client", "客户端"),
        Side::Server => t.say("server", "服务器"),
    }
}

/// Two vantages; beyond the outermost stands "…".
pub fn place(a: Option<&str>, b: Option<&str>) -> String {
    let end = |end: Option<&str>| end.map_or_else(|| "…".to_owned(), name);
    format!("{} – {}", end(a), end(b))
}

fn pair(ends: &[Option<String>; 2]) -> String {
    place(ends[0].as_deref(), ends[1].as_deref())
}

/// Where it came from and whether it got lost, in a cell.
pub fn whence(t: Lang, reset: &ResetReport) -> String {
    let mut words = match (reset.origin, &reset.between) {
        (Origin::Endpoint, _) => {
            let emitter = reset.emitter.map_or("", |emitter| side(t, emitter));
            match &reset.at {
                Some(at) => format!("{emitter} ({})", name(at)),
                None => emitter.to_owned(),
            }
        }
        (_, Some(ends)) => pair(ends),
        (_, None) => t.say("unknown place", "位置未知").to_owned(),
    };
    if let Some(lost) = &reset.lost_between {
        words.push_str(t.say("; lost ", "；丢失于 "));
        words.push_str(&pair(lost));
    }
    words
}

/// A probability in percent; certainty is never rounded up to.
pub fn confidence(probability: f64) -> String {
    let percent = probability * 100.0;
    if probability < 1.0 && percent >= 99.95 {
        ">99.9 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

/// UTC with microseconds, for people.
pub fn moment(time: CaptureTime) -> String {
    let whole = time.to_string();
    match whole.strip_suffix('Z') {
        Some(digits) if digits.len() > 3 => digits[..digits.len() - 3].replacen('T', " ", 1),
        _ => whole,
    }
}

/// UTC to the second.
pub fn second(time: CaptureTime) -> String {
    let whole = moment(time);
    whole.split('.').next().unwrap_or_default().to_owned()
}

pub fn end(addr: std::net::IpAddr, port: u16) -> String {
    SocketAddr::new(addr, port).to_string()
}

/// A length of time, signed, with three or four digits.
pub fn span(nanos: i64) -> String {
    let size = nanos.unsigned_abs() as f64;
    let (value, unit) = match size {
        ..1e3 => (size, "ns"),
        ..1e6 => (size / 1e3, "µs"),
        ..1e9 => (size / 1e6, "ms"),
        ..6e10 => (size / 1e9, "s"),
        ..3.6e12 => (size / 6e10, "min"),
        ..8.64e13 => (size / 3.6e12, "h"),
        _ => (size / 8.64e13, "d"),
    };
    let sign = if nanos < 0 { "−" } else { "" };
    let digits = match value {
        ..10.0 if unit != "ns" => 2,
        ..100.0 if unit != "ns" => 1,
        _ => 0,
    };
    format!("{sign}{value:.digits$} {unit}")
}

/// A cause's name.
pub const fn cause(t: Lang, cause: Cause) -> &'static str {
    match cause {
        Cause::ClosedPort => t.say("closed port", "端口未监听"),
        Cause::ListenerOverloaded => t.say("listener overloaded", "监听队列过载"),
        Cause::SynAckRefused => t.say("SYN+ACK refused", "SYN+ACK 被拒"),
        Cause::RetransmissionTimeout => t.say("retransmission timeout", "重传超时"),
        Cause::KeepaliveTimeout => t.say("keep-alive timeout", "保活超时"),
        Cause::AbortUnreadData => t.say("abort, unread data", "中止：数据未读"),
        Cause::AbortLinger => t.say("abort, linger 0", "中止：linger 0"),
        Cause::NoSocket => t.say("no socket", "无此连接"),
        Cause::TimeWaitReuse => t.say("TIME_WAIT reuse", "TIME_WAIT 端口重用"),
        Cause::OutOfWindow => t.say("out of window", "窗口外报文"),
        Cause::FirewallRejectSyn => t.say("firewall rejects SYN", "防火墙拒绝 SYN"),
        Cause::FirewallRejectContent => t.say("firewall rejects content", "防火墙拒绝内容"),
        Cause::FirewallIdleTimeout => t.say("firewall idle timeout", "防火墙空闲超时"),
        Cause::InjectedBothWays => t.say("injected both ways", "双向注入"),
        Cause::InjectedOffPath => t.say("injected off path", "旁路注入"),
        Cause::BlindAttack => t.say("blind attack", "盲攻击"),
        Cause::Injected => t.say("injected", "注入"),
        Cause::HostFirewallReject => t.say("host firewall reject", "主机防火墙拒绝"),
        Cause::ProxyAbort => t.say("proxy abort", "代理中止"),
        Cause::Unknown => t.say("unknown", "未知"),
    }
}

/// A cause told in a clause; empty where there is nothing to tell.
const fn why(cause: Cause) -> &'static str {
    match cause {
        Cause::ClosedPort => "该端口无程序监听",
        Cause::ListenerOverloaded => "其监听队列过载",
        Cause::SynAckRefused => "它拒绝了 SYN+ACK",
        Cause::RetransmissionTimeout => "它多次重传同一报文段而无应答",
        Cause::KeepaliveTimeout => "它的保活探测没有应答",
        Cause::AbortUnreadData => "其程序在数据未读完时关闭",
        Cause::AbortLinger => "其程序直接丢弃了连接",
        Cause::NoSocket => "它已不认识这个连接",
        Cause::TimeWaitReuse => "已关闭连接的端口过早被再次使用",
        Cause::OutOfWindow => "它收到了不属于该连接的报文段",
        Cause::FirewallRejectSyn => "防火墙拒绝这个连接请求",
        Cause::FirewallRejectContent => "防火墙拒绝所发送的内容",
        Cause::FirewallIdleTimeout => "防火墙已忘记这个空闲连接",
        Cause::InjectedBothWays => "连接两端都被重置",
        Cause::InjectedOffPath => "围绕数据流的一串猜测",
        Cause::BlindAttack => "以猜测序列号进行的盲攻击",
        Cause::HostFirewallReject => "由主机自己的防火墙拒绝",
        Cause::ProxyAbort => "代理转发了另一侧连接的重置",
        Cause::Injected | Cause::Unknown => "",
    }
}

/// The verdict as a Chinese sentence; the English one comes from the judge.
pub fn sentence(reset: &ResetReport) -> String {
    let (from, to) = (end(reset.src, reset.sport), end(reset.dst, reset.dport));
    let count = match reset.count {
        0 | 1 => String::new(),
        count => format!("（共 {count} 次）"),
    };
    let who = match reset.origin {
        Origin::Endpoint => {
            let emitter = reset
                .emitter
                .map_or("端点", |emitter| side(Lang::Chinese, emitter));
            format!("由{emitter}自己发出")
        }
        Origin::Middlebox => {
            let place = match reset
                .between
                .as_ref()
                .map(|ends| [ends[0].as_deref(), ends[1].as_deref()])
            {
                Some([Some(a), Some(b)]) => format!("“{}”与“{}”之间的", name(a), name(b)),
                Some([None, Some(b)]) => format!("“{}”之前（从所称发送方看）的", name(b)),
                Some([Some(a), None]) => format!("“{}”之外的", name(a)),
                _ => "位置未知的".to_owned(),
            };
            format!("由{place}中间盒伪造")
        }
        Origin::Undetermined => "来源无法由现有证据确定".to_owned(),
    };
    let why = match why(reset.cause) {
        "" => String::new(),
        why => format!("：{why}"),
    };
    let lost = reset
        .lost_between
        .as_ref()
        .map_or_else(String::new, |ends| {
            let end = |end: &Option<String>| {
                end.as_deref().map_or_else(
                    || "最外侧观测点与主机".to_owned(),
                    |one| format!("“{}”", name(one)),
                )
            };
            format!("；在{}与{}之间丢失", end(&ends[0]), end(&ends[1]))
        });
    format!(
        "从 {from} 到 {to} 的 RST{count}{who}{why}{lost}（置信度 {:.3}）。",
        reset.confidence
    )
}

/// A sentence of the judge's, and the language (BCP 47) that it is told in.
pub fn judges(t: Lang, text: &str) -> (String, &'static str) {
    let chinese = match t {
        Lang::English => None,
        Lang::Chinese => chinese::told(text),
    };
    match chinese {
        Some(chinese) => (plain(&chinese), Lang::Chinese.tag()),
        None => (plain(text), Lang::English.tag()),
    }
}

/// What kind of reason a piece of evidence is.
pub fn evidence(t: Lang, kind: &str) -> String {
    let known = match kind {
        "first_sighting" => t.say("first sighting", "首次出现"),
        "host_sighting" => t.say("seen leaving its host", "见其离开主机"),
        "attested_absence" => t.say("attested absence", "确证未见"),
        "blind" => t.say("blind vantage", "观测点失明"),
        "lost" => t.say("lost on its way", "途中丢失"),
        "foreign_link" => t.say("foreign link address", "链路地址不符"),
        "fingerprint_ttl" => t.say("hop count", "跳数"),
        "fingerprint_ip_id" => t.say("IP ID", "IP 标识"),
        "fingerprint_window" => t.say("window", "窗口"),
        "fingerprint_ip" => t.say("IP header", "IP 首部"),
        "fingerprint_options" => t.say("TCP options", "TCP 选项"),
        "fingerprint_seq" => t.say("sequence number", "序列号"),
        "fingerprint_ack" => t.say("acknowledgement number", "确认号"),
        "fingerprint_timing" => t.say("timing", "时间"),
        "data_after_reset" => t.say("data after the reset", "重置后的数据"),
        "injector_signature" | "injector" => t.say("looks of an injector", "注入器特征"),
        "kernel_witness" => t.say("kernel witness", "内核证词"),
        "cause" => t.say("cause", "原因"),
        "effect" => t.say("effect", "效果"),
        "translated" => t.say("addresses translated", "地址转换"),
        "renumbered" => t.say("numbers rewritten", "序列号改写"),
        "linked" => t.say("names linked", "名称关联"),
        "ambiguous" => t.say("ambiguous", "有歧义"),
        "claimed_reason" => t.say("claimed reason", "自称原因"),
        other => return plain(other).replace('_', " "),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_and_control_characters_show() {
        assert_eq!(brief("a\u{1b}[31m<b>", 40), "a\\u{1b}[31m<b>");
        let long = brief(&"x".repeat(10_000), 8);
        assert_eq!(long, "xxxxxxxx…");
    }

    #[test]
    fn lengths_of_time_keep_three_digits() {
        for (nanos, words) in [
            (0, "0 ns"),
            (1_234, "1.23 µs"),
            (-45_600_000, "−45.6 ms"),
            (90_000_000_000, "1.50 min"),
            (i64::MIN, "−106752 d"),
        ] {
            assert_eq!(span(nanos), words);
        }
    }
}
