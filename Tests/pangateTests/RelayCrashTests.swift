import Foundation
import Testing

/// `kill -9` of the relay at random points under load, by clients that share no code with it (tools/lab/relay_crash.py).
@Suite(
  "A relay that is killed",
  .enabled(if: ZEPHome.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"))
struct RelayCrashTests {
  /// What the script prints.
  private struct Summary: Decodable {
    var rounds: Int
    var acknowledged: Int
    var deliveries: Int
    var lost: Int
    var violation: String?
  }

  @Test("What was acknowledged is delivered, once in effect", arguments: ["coap+tcp", "coaps+tcp"])
  func killedAnywhere(scheme: String) throws {
    let python = try #require(ZEPHome.python)
    var arguments = [
      Executable.root.appendingPathComponent("tools/lab/relay_crash.py").path, "--rounds", "20", "--pangate",
      Executable.products.appendingPathComponent("pangate").path,
    ]
    if scheme == "coaps+tcp" { arguments.append("--tls") }
    let result = try Executable.run(URL(fileURLWithPath: python), ["-B"] + arguments)
    // What the script says of a violation names the seed and the round.
    #expect(result.status == 0, "\(result.stdout)\(result.stderr)")
    let summary = try JSONDecoder().decode(Summary.self, from: Data(result.stdout.utf8))
    #expect(summary.rounds == 20)
    #expect(summary.lost == 0)
    #expect(summary.violation == nil)
    #expect(summary.acknowledged > 100)
    #expect(summary.deliveries >= summary.acknowledged)
  }
}
