//! Where a RST was seen, where not, and why a silence says nothing.

use super::Sentence;

pub(super) const ALL: &[Sentence] = &[
    // Words.
    ("client", "客户端"),
    ("server", "服务器"),
    ("the client", "客户端"),
    ("the server", "服务器"),
    ("the client's", "客户端的"),
    ("the server's", "服务器的"),
    ("1 hop", "1 跳"),
    // Where it was seen, and where not.
    (
        "going from the {} the RST was first seen at {} (TTL {}), then at {}",
        "从{0}出发，这个 RST 首先在{1}出现（TTL {2}），随后是{3}",
    ),
    (
        "going from the {} the RST was first seen at {} (TTL {})",
        "从{0}出发，这个 RST 首先在{1}出现（TTL {2}）",
    ),
    (
        "{} did not see the RST and would have: it was capturing at that moment without loss, and {}",
        "{0}没有见到这个 RST，而它本应见到：当时它正在抓包且没有丢包，{1}",
    ),
    (
        "{} did not see the RST and would have: it was capturing at that moment, and {}",
        "{0}没有见到这个 RST，而它本应见到：当时它正在抓包，{1}",
    ),
    (
        "{}; asked for all that it remembers of the connection around that moment, it had no RST{}",
        "{0}；向它查询当时前后记得的该连接的全部报文，其中没有 RST{1}",
    ),
    (
        "{}; but {} around then, so its silence weighs less",
        "{0}；但当时前后{1}，所以它的沉默分量较轻",
    ),
    (
        "; but {} around then, so its silence weighs less",
        "；但当时前后{0}，所以它的沉默分量较轻",
    ),
    (
        "it recorded this connection's packets from the {}",
        "它记录了本连接来自{0}的报文",
    ),
    (
        "it recorded other connections' packets from the {} to the {}",
        "它记录了其他连接从{0}到{1}的报文",
    ),
    ("it runs on that host", "它就在那台主机上"),
    ("the configured path passes it", "所配置的路径经过它"),
    (
        "{} runs on the {}'s host and saw the RST leave it",
        "{0}运行在{1}的主机上，并看到这个 RST 从主机发出",
    ),
    (
        "{} runs on the {}'s host, yet the RST came in from outside",
        "{0}运行在{1}的主机上，而这个 RST 却从外部进入",
    ),
    (
        "the RST was last seen at {} and never came to {}, which would have seen it: it was lost or dropped between them",
        "这个 RST 最后在{0}被见到，从未到达本应见到它的{1}：它在两者之间丢失或被丢弃",
    ),
    ("{} says nothing about it: {}", "{0}对此不说明什么：{1}"),
    (
        "at {} the RST came from the link-layer address {}, none of the {}'s other packets did",
        "在{0}，这个 RST 来自链路层地址 {1}，而{2}的其他报文都不来自那里",
    ),
    (
        "{} after the RST the {} sent more of the same connection ({}), as if it knew of no RST",
        "RST 之后 {0}，{1}仍在同一连接上发送（{2}），仿佛不知道有 RST",
    ),
    // Why a silence says nothing.
    ("it has no coverage of that time", "它没有覆盖那段时间"),
    ("it began to capture later", "它后来才开始抓包"),
    (
        "its coverage ends {} before; nothing shows that it was still capturing",
        "它的覆盖在 {0} 之前结束，没有迹象表明它当时仍在抓包",
    ),
    ("it was not capturing at that moment", "它当时没有在抓包"),
    (
        "it was losing packets ({} dropped around then)",
        "它当时正在丢包（前后丢弃 {0} 个）",
    ),
    (
        "it recorded only {} of {} packets that must have passed it",
        "必定经过它的 {1} 个报文中，它只记录了 {0} 个",
    ),
    (
        "it shows only the other direction of this connection",
        "它只显示本连接的另一个方向",
    ),
    (
        "it was seen before and after it, so this vantage missed it",
        "它的前后都见到了，所以是这个观测点漏掉了",
    ),
    (
        "it recorded what may be this under another name, which nothing links for certain",
        "它以另一名称记录的可能就是它，但无法确切关联",
    ),
    (
        "nothing says that this connection passes it",
        "没有迹象表明本连接经过它",
    ),
    ("{} around then ({} lost)", "当时前后{0}（丢失 {1} 个）"),
    ("{} around then", "当时前后{0}"),
    (
        "its kernel dropped packets for want of buffer",
        "其内核因缓冲区不足而丢包",
    ),
    (
        "its interface dropped packets or was down",
        "其网卡丢包或曾断开",
    ),
    ("its agent could not keep up", "其代理处理不及"),
    (
        "its spool was full while the collector was away",
        "采集器不在时其缓存已满",
    ),
    (
        "a part of its spool could not be read back",
        "其缓存有一部分无法读回",
    ),
    (
        "its agent was killed and started again",
        "其代理被终止后重新启动",
    ),
    ("its clock was stepped", "其时钟被调整"),
    (
        "its capture filter leaves packets out",
        "其抓包过滤器漏掉报文",
    ),
    (
        "it ships only some segments (RSTs always)",
        "它只上送部分报文段（RST 总是上送）",
    ),
    (
        "it shows only one direction of connections",
        "它只显示连接的一个方向",
    ),
    (
        "it captures outside the host's firewall: what that drops is seen coming in and not going out",
        "它在主机防火墙之外抓包：被丢弃的只见其入，不见其出",
    ),
    (
        "it met packets that may have been TCP and could not be read",
        "它遇到可能是 TCP 而无法解读的报文",
    ),
];
