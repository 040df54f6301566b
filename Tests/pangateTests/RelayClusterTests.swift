import Foundation
import Testing

/// Two relays on a cluster of three nats-servers, one after the other of which is killed with `kill -9`, by clients that share
/// no code with them (tools/lab/relay_cluster.py).
@Suite(
  "A cluster of relays",
  .enabled(if: ZEPHome.python != nil, "PANGATE_PYTHON is not set: tools/test sets it"),
  .enabled(if: ClusterServers.areAvailable, "nats-server is not installed (tools/setup test)"))
struct RelayClusterTests {
  /// What the script prints.
  private struct Summary: Decodable {
    var killed: [String: Int]
    var acknowledged: Int
    var deliveries: Int
    var lost: Int?
    var accessLists: Int
    var violation: String?
  }

  @Test("What was acknowledged is delivered, whichever of them is killed")
  func killedOneAfterTheOther() throws {
    let python = try #require(ZEPHome.python)
    let result = try Executable.run(
      URL(fileURLWithPath: python),
      [
        "-B", Executable.root.appendingPathComponent("tools/lab/relay_cluster.py").path, "--minutes", "0.3",
        "--pangate",
        Executable.products.appendingPathComponent("pangate").path,
      ])
    // What the script says of a violation names the seed.
    #expect(result.status == 0, "\(result.stdout)\(result.stderr)")
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let summary = try decoder.decode(Summary.self, from: Data(result.stdout.utf8))
    #expect(summary.violation == nil)
    #expect(summary.lost == 0)
    #expect(summary.killed.values.reduce(0, +) > 0)
    #expect(summary.accessLists == 2)
    #expect(summary.acknowledged > 100)
    #expect(summary.deliveries >= summary.acknowledged)
  }
}

enum ClusterServers {
  /// In CI the test is never left out: there the script fails without nats-server.
  static let areAvailable =
    ProcessInfo.processInfo.environment["CI"] != nil
    || [Executable.root.path + "/.build-nats", "/usr/sbin", "/usr/bin", "/usr/local/bin"].contains {
      FileManager.default.isExecutableFile(atPath: $0 + "/nats-server")
    }
}
