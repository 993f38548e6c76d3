#include "scalers/redis/redis_scaler.h"

int main(int argc, char** argv) {
  return neap::sdk::Serve(neap::scalers::redis::Make(), argc, argv);
}
